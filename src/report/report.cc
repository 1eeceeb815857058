#include "report/report.h"

#include <fmt/format.h>

#include <string_view>

#include "base/file.h"
#include "report/html.h"
#include "report/run_directory.h"
#include "report/sections.h"

namespace dashf::report {
namespace {

constexpr std::string_view kStyle = R"(
:root { --ink:#1b2430; --muted:#5f6b7a; --line:#e3e7ec; --paper:#ffffff; --ground:#f4f6f8;
  --accent:#0072b2; --good:#0b7a55; --bad:#b42318; --track:#e8ecf1; }
@media screen and (prefers-color-scheme: dark) { :root { --ink:#e6eaf0; --muted:#98a3b3; --line:#2c3542;
  --paper:#161c25; --ground:#0f141b; --accent:#58b0e3; --good:#4cc38a; --bad:#ff8a7a;
  --track:#263040; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--ground); color:var(--ink);
  font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif; }
main { max-width:1280px; margin:0 auto; padding:28px 20px 60px; }
h1 { font-size:26px; margin:0 0 2px; letter-spacing:-.01em; }
h2 { font-size:18px; margin:0 0 10px; }
p { margin:0 0 12px; color:var(--muted); max-width:78ch; }
section { background:var(--paper); border:1px solid var(--line); border-radius:10px;
  padding:20px 22px; margin-top:18px; }
header section, header p { margin-top:0; }
.tiles { display:flex; flex-wrap:wrap; gap:12px; margin-top:16px; }
.tile { background:var(--paper); border:1px solid var(--line); border-radius:10px;
  padding:12px 16px; min-width:150px; flex:1; }
.tile b { display:block; font-size:22px; font-weight:650; font-variant-numeric:tabular-nums; }
.tile span { color:var(--muted); font-size:13px; }
.scroll { overflow-x:auto; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:14px; }
th,td { padding:5px 8px; text-align:right; border-bottom:1px solid var(--line);
  white-space:nowrap; }
th { font-weight:600; color:var(--muted); font-size:13px; vertical-align:bottom; }
th.t,td.t { text-align:left; }
td.note { text-align:left; white-space:normal; color:var(--muted); min-width:180px; }
th.g { text-align:center; border-left:1px solid var(--line); }
td.b { border-left:1px solid var(--line); }
tr.sum td { font-weight:600; border-bottom:none; }
tr.chosen td { font-weight:600; }
small { color:var(--muted); font-size:12px; }
.dot { display:inline-block; width:10px; height:10px; border-radius:3px; margin-right:6px; }
.bar { display:inline-block; width:130px; height:10px; border-radius:3px;
  background:var(--track); vertical-align:middle; overflow:hidden; }
.bar i { display:block; height:100%; background:var(--accent); }
.short { width:44px; }
.good { color:var(--good); } .bad { color:var(--bad); }
.columns { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr)); gap:22px; }
.columns > div { min-width:0; overflow-x:auto; }
svg { width:100%; height:auto; display:block; max-width:680px; }
svg text { font-size:12px; fill:var(--muted); } .strong text { fill:var(--ink); font-weight:650; }
.axis { stroke:var(--muted); } .grid { stroke:var(--line); } .accent { fill:var(--accent); }
.curve { fill:none; stroke:var(--accent); stroke-width:2; } .band { fill:var(--track); }
.hollow { fill:var(--paper); } .server { stroke:var(--paper); stroke-width:1.5; }
dl { display:grid; grid-template-columns:max-content 1fr; gap:4px 18px; margin:0 0 12px; }
dt { color:var(--muted); } dd { margin:0; overflow-wrap:anywhere; }
code,pre { font:13px/1.5 ui-monospace,Menlo,Consolas,monospace; }
pre { background:var(--ground); border:1px solid var(--line); border-radius:8px; padding:10px 14px;
  overflow-x:auto; margin:0 0 12px; }
details { margin-top:12px; } summary { cursor:pointer; color:var(--muted); }
a { color:var(--accent); }
@page { size:landscape; margin:12mm; }
@media print {
  * { -webkit-print-color-adjust:exact; print-color-adjust:exact; }
  body { background:#fff; font-size:10pt; }
  main { max-width:none; padding:0; } p { max-width:115ch; }
  .tile { min-width:0; } .tile b { font-size:13pt; white-space:nowrap; }
  svg { width:auto; height:92mm; max-width:100%; }
  .plan svg { height:112mm; } section > svg { height:70mm; }
  section { border:none; padding:0; margin-top:18pt; }
  .scroll, .columns > div, pre { overflow:visible; }
  table { font-size:8pt; } th, small { font-size:7.5pt; } th,td { padding:2px 5px; }
  td.note { min-width:120px; }
  pre { white-space:pre-wrap; }
  h2, section > p, section > ul { break-after:avoid; }
  p, table, tr, svg, ul, dl, pre, .tiles, .columns { break-inside:avoid; }
}
)";

}  // namespace

Expected<std::string> ReportPage(const std::filesystem::path& folder) {
  const auto run = ReadRunDirectory(folder);
  if (!run) return tl::unexpected(run.error());
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'\">\n"
      "<title>dashf: "
      "{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n{}{}{}{}{}{}{}{}</main>\n"
      "</body>\n</html>\n",
      Escape(run->loaded.scenario.name),
      kStyle,
      HeadlineSection(*run),
      PlanSection(*run),
      LearningSection(*run),
      PhasesSection(*run),
      EnergySection(*run),
      MethodsSection(*run),
      HistorySection(*run),
      ProvenanceSection(*run));
}

Expected<std::filesystem::path> WriteReport(const std::filesystem::path& folder) {
  const auto page = ReportPage(folder);
  if (!page) return tl::unexpected(page.error());
  const std::filesystem::path path = folder / "report.html";
  if (const auto written = WriteFileAtomically(path, *page); !written) {
    return tl::unexpected(written.error());
  }
  return path;
}

}  // namespace dashf::report
