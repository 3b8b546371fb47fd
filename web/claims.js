// The table of all claims: a filter above each column (Tabulator).
const VERDICT_ORDER = ["reproduced", "not reproduced", "inconclusive", "not judged yet"];
const chosen = new URLSearchParams(location.search);

function link(cell) {
  const row = cell.getData();
  return row.page ? `<a href="${row.page}">${row.figure}</a>` : row.figure;
}

function verdict(cell) {
  const row = cell.getData();
  return `<span class="verdict ${row.verdict.replaceAll(" ", "-")}">${row.verdict}</span>`
    + (row.why ? `<br><small>${row.why}</small>` : "");
}

function said(cell) {
  const row = cell.getData();
  return `<b>${row.id}.</b> ${row.claim}<br><small>${row.statistic}</small>`;
}

const list = (field) => ({
  headerFilter: "list",
  headerFilterParams: { values: [...new Set(CLAIMS.map((row) => row[field]))], clearable: true },
  headerFilterPlaceholder: "all",
});

new Tabulator("#claims", {
  data: CLAIMS,
  layout: "fitColumns",
  responsiveLayout: "collapse",
  responsiveLayoutCollapseStartOpen: false,
  pagination: true,
  paginationSize: 50,
  initialHeaderFilter: [...chosen].map(([field, value]) => ({ field, value })),
  columns: [
    { formatter: "responsiveCollapse", width: 32, minWidth: 32, headerSort: false,
      resizable: false, responsive: 0 },
    { title: "paper", field: "paper", width: 130, responsive: 1, ...list("paper") },
    { title: "claim", field: "claim", formatter: said, minWidth: 150, widthGrow: 3, responsive: 0,
      variableHeight: true, headerFilter: "input", headerFilterPlaceholder: "search" },
    { title: "measured", field: "measured", width: 170, headerSort: false, responsive: 4 },
    { title: "expected", field: "expected", width: 100, headerSort: false, responsive: 5 },
    { title: "verdict", field: "verdict", formatter: verdict, minWidth: 110, widthGrow: 2,
      responsive: 0, variableHeight: true,
      sorter: (a, b) => VERDICT_ORDER.indexOf(a) - VERDICT_ORDER.indexOf(b), ...list("verdict"),
      headerFilterFunc: "=" },
    { title: "figure", field: "figure", formatter: link, width: 170, responsive: 3,
      headerFilter: "input", headerFilterPlaceholder: "search" },
  ],
});
