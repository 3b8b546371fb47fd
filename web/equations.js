// MathJax, two megabytes, is loaded only by pages with equations.
if (document.querySelector(".arithmatex")) {
  window.MathJax = {
    tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]], tags: "none" },
    options: { ignoreHtmlClass: ".*", processHtmlClass: "arithmatex", enableMenu: false },
    svg: { fontCache: "global" },
  };
  const script = document.createElement("script");
  script.src = new URL("tex-svg.js", document.currentScript.src);
  document.head.append(script);
}
