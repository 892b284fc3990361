// The style of the page. Role colours are from Okabe and Ito's set, which colour-blind readers can
// tell apart; every role has a mark of its own as well.
#include "engine/report/sections.h"

namespace alm::report {

const char* page_style() {
  return R"css(
:root{color-scheme:light dark;--paper:#fff;--ink:#16191d;--soft:#5b6470;--faint:#e4e7eb;--fainter:#f5f6f8;
--rule:#16191d;--front:#0072b2;--back:#d55e00;--naive:#7a7f87;--truth:#009e73;--warn:#fff6e0;--warn-edge:#e69f00;
--p0:#0072b2;--p1:#56b4e9;--p2:#009e73;--p3:#e69f00;--p4:#d55e00;--p5:#cc79a7;--p6:#8a8f98;--p7:#c9cdd3}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8eaed;--soft:#a2abb6;--faint:#2d333b;
--fainter:#1c2026;--rule:#e8eaed;--front:#56b4e9;--back:#ff9d57;--naive:#9aa1ab;--truth:#3fc79b;--warn:#2b2411;--warn-edge:#e69f00;
--p0:#3d93cf;--p6:#8a8f98;--p7:#4b525c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:928px;margin:0 auto;padding:48px 24px 80px}
h1,h2,h3{line-height:1.15;font-weight:700;letter-spacing:-.012em;overflow-wrap:anywhere}
h1{font-size:clamp(28px,5vw,42px);margin:8px 0 20px;max-width:22em}
h2{font-size:25px;margin:0 0 6px}
h3{font-size:15px;margin:0 0 8px;letter-spacing:0}
p{margin:0 0 14px;max-width:43em;overflow-wrap:anywhere}
section{margin-top:56px;padding-top:18px;border-top:2px solid var(--rule)}
.kicker{margin:0;font-size:13px;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:var(--front)}
.deck p{font-size:18px;line-height:1.5;max-width:40em}
.soft,.note,figcaption{color:var(--soft)}
.note,figcaption{font-size:14px;line-height:1.45}
.option{white-space:nowrap}
.none{color:var(--soft);font-style:italic;font-weight:400}
.facts,.tiles{display:grid;gap:16px 20px;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));margin:24px 0 0}
.facts{padding-top:16px;border-top:1px solid var(--faint)}
.facts dt,.tiles dt{font-size:12.5px;color:var(--soft);line-height:1.35}
.facts dd{margin:1px 0 0;font-size:14px;line-height:1.35;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.tiles dd{margin:2px 0 0;font-size:22px;font-weight:650;line-height:1.2;font-variant-numeric:tabular-nums}
.tiles dd .none{font-size:13px;line-height:1.35;display:block}
.tiles dd small{display:block;margin-top:3px;font-size:12.5px;font-weight:400;line-height:1.35;color:var(--soft)}
.tiles+h3{margin-top:32px}.tiles+p,.scroll+p{margin-top:18px}
.facts div,.tiles div{margin:0;min-width:0}
.warnings{list-style:none;margin:28px 0 0;padding:0}
.warnings li{margin:0 0 8px;padding:11px 16px;background:var(--warn);border-left:4px solid var(--warn-edge);font-size:15px;line-height:1.45;overflow-wrap:anywhere}
.warnings b{font-weight:650}
figure{margin:22px 0 0;overflow-x:auto}
figcaption{margin-top:8px;max-width:46em}
.grid{display:flex;flex-wrap:wrap;gap:24px 32px;margin-top:22px}
.grid figure{margin:0;flex:0 1 auto;max-width:100%}
.legend{display:flex;flex-wrap:wrap;gap:4px 22px;list-style:none;margin:14px 0 0;padding:0;font-size:14px}
.legend li{display:flex;align-items:center;gap:7px}
svg.plot{display:block;font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
.swatch{flex:none}
svg text{fill:var(--ink)}
svg .tick,svg .title,svg .gap{fill:var(--soft)}
svg .mid{text-anchor:middle}svg .end{text-anchor:end}
svg .name{font-size:13px}svg .strong{font-weight:650}svg .number{fill:var(--soft)}
svg .gap{font-style:italic}
.grid-line,svg .grid,svg .row{stroke:var(--faint);stroke-width:1}
svg .axis,svg .zero{stroke:var(--soft);stroke-width:1}
svg .reference{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 4}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:7 4}svg .dotted{stroke-dasharray:2 3}
svg .whisker{stroke-width:2.5;opacity:.55}
svg .line.front,svg .whisker.front{stroke:var(--front)}
svg .line.back,svg .whisker.back{stroke:var(--back)}
svg .line.naive,svg .whisker.naive{stroke:var(--naive)}
svg .line.truth,svg .whisker.truth{stroke:var(--truth)}
svg .line.muted,svg .whisker.muted{stroke:var(--soft)}
svg .mark.front,svg .arrow.front{fill:var(--front)}svg .mark.truth{fill:var(--truth)}
svg .mark.muted{fill:none;stroke:var(--soft);stroke-width:1.8}
svg .mark.back{fill:var(--paper);stroke:var(--back);stroke-width:1.8}
svg .mark.naive{fill:var(--paper);stroke:var(--naive);stroke-width:1.8}
.p0{fill:var(--p0);background:var(--p0)}.p1{fill:var(--p1);background:var(--p1)}.p2{fill:var(--p2);background:var(--p2)}.p3{fill:var(--p3);background:var(--p3)}
.p4{fill:var(--p4);background:var(--p4)}.p5{fill:var(--p5);background:var(--p5)}.p6{fill:var(--p6);background:var(--p6)}.p7{fill:var(--p7);background:var(--p7)}
.dot{width:11px;height:11px;border-radius:2px;flex:none}
details{margin-top:22px;border-top:1px solid var(--faint);padding-top:12px}
details+details{margin-top:12px}
summary{cursor:pointer;font-weight:600;font-size:15px}
.scroll{overflow-x:auto;margin-top:12px}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;line-height:1.3}
th,td{padding:6px 0 6px 18px;text-align:right;font-weight:400;white-space:nowrap}
th:first-child{text-align:left;padding-left:0;white-space:normal;overflow-wrap:anywhere;min-width:88px}
.stacked .soft{display:block}.stacked td,.stacked tbody th{vertical-align:top}
td.verdict,td.sentence{text-align:left;vertical-align:top}
td.verdict.pass,td.verdict.warn,td.verdict.fail{font-weight:650}td.verdict.warn,td.verdict.fail{box-shadow:inset 4px 0 var(--warn-edge)}
td.sentence{white-space:normal;min-width:20em}
thead th{color:var(--soft);vertical-align:bottom;font-size:12.5px;white-space:normal}
tbody tr,thead tr{border-bottom:1px solid var(--faint)}
thead tr{border-bottom:1px solid var(--rule)}
.sorted{margin-top:10px}
.sorted>input{position:absolute;opacity:0}
.sorted>label{display:inline-block;margin:0 6px 0 0;padding:2px 10px;border:1px solid var(--faint);border-radius:99px;font-size:13px;cursor:pointer}
.sorted>input:checked+label{background:var(--ink);color:var(--paper);border-color:var(--ink)}
.sorted>input:focus-visible+label{outline:2px solid var(--front);outline-offset:2px}
.sorted table,.sorted thead{display:block}
.sorted tbody{display:flex;flex-direction:column}
.sorted tr{display:grid;grid-template-columns:minmax(104px,1fr) var(--columns);align-items:end}
.sorted td,.sorted th{padding-left:8px}
.sorted th:first-child{padding-left:0;min-width:0}
.sorted thead th{white-space:normal}
.s0:checked~.scroll tr{order:var(--a)}.s1:checked~.scroll tr{order:var(--b)}.s2:checked~.scroll tr{order:var(--c)}
.s3:checked~.scroll tr{order:var(--d)}.s4:checked~.scroll tr{order:var(--e)}
.journey{margin-top:26px}
.journey h3 span{font-weight:400;color:var(--soft)}
.strip{display:flex;flex-wrap:wrap;gap:8px;list-style:none;margin:0;padding:0}
.strip li{flex:0 0 138px;width:138px;padding:9px 11px 10px;background:var(--fainter);border-radius:4px;font-size:12.5px;line-height:1.35}
.strip b{display:block;font-size:13.5px;font-weight:600;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.strip .credit{font-weight:600;white-space:nowrap}
.strip .bar{display:block;height:6px;margin:7px 0 4px;background:var(--faint);border-radius:3px;overflow:hidden}
.strip .bar i{display:block;height:6px;background:var(--front)}
.strip .outcome{background:none;border:1px solid var(--faint);display:flex;flex-direction:column;justify-content:center}
.strip em{font-style:normal;color:var(--soft);display:block}
.strip .yes{color:var(--truth);font-weight:600}
pre{font-size:12px;line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere;color:var(--soft);max-height:60vh;overflow:auto}
.words dt{font-weight:650;margin-top:12px}.words dd{margin:0;max-width:43em;color:var(--soft);font-size:15px}
@media (max-width:640px){main{padding:28px 16px 60px}section{margin-top:42px}.deck p{font-size:17px}
.scroll::before,section>figure::before{content:"wider than this window: slide it sideways";position:sticky;left:0;display:block;width:max-content;font-size:12px;color:var(--soft)}
.scroll th:first-child{position:sticky;left:0;background:var(--paper)}}
@media print{body{font-size:11pt}main{max-width:none;padding:0}section,figure,.journey{break-inside:avoid}
figure,.scroll{overflow:visible}table{font-size:7.5pt}th,td{padding-left:8px}svg.plot{max-width:100%;height:auto}section{margin-top:28px}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)css";
}

}  // namespace alm::report
