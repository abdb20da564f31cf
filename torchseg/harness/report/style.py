"""CSS and JavaScript of a report, both inlined so that the page loads no other file."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f7f9;--text:#1a1d23;--soft:#5b6472;--line:#d9dde4;--accent:#2457c5;
--good:#0f7a3d;--bad:#b42318;--warn:#8a5a00;--shade:#2457c5;
--s0:#2457c5;--s1:#c2410c;--s2:#0f7a3d;--s3:#9333ea;--s4:#0e7490;--s5:#be185d;--s6:#a16207;--s7:#57534e}
@media(prefers-color-scheme:dark){:root{--bg:#14171c;--panel:#1c2027;--text:#e7eaf0;--soft:#9aa4b2;--line:#333a45;
--accent:#8ab4ff;--good:#4ade80;--bad:#ff8a80;--warn:#f5c451;--shade:#5b8def;
--s0:#8ab4ff;--s1:#ff9b6b;--s2:#5bd68a;--s3:#c99bff;--s4:#5fd0e6;--s5:#ff86bd;--s6:#e5c04f;--s7:#b8b2ab}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}
header,main{max-width:1280px;margin:auto;padding:0 20px}
header{padding-top:28px}h1{font-size:26px;margin:0;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 10px}h3{font-size:15px;margin:18px 0 6px}
p{margin:6px 0}p,li,small,figcaption{text-wrap:pretty}
.soft,small,figcaption{color:var(--soft)}small{display:block;font-weight:400;font-size:12px}
nav a{margin-right:14px;display:inline-block}a{color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.answer{background:var(--panel);border:1px solid var(--line);border-left:5px solid var(--accent);border-radius:10px;
padding:14px 20px;margin:18px 0}
.answer .file{font-size:24px;font-weight:700;overflow-wrap:anywhere;margin:0}.answer .file small{display:inline}
.facts{display:grid;grid-template-columns:repeat(4,1fr);gap:14px 24px;margin:12px 0}
@media(max-width:1000px){.facts{grid-template-columns:repeat(2,1fr)}}
@media(max-width:520px){.facts{grid-template-columns:1fr}.answer .file small{display:block}}
.facts b{display:block;font-size:19px;line-height:1.3}.facts small{font-size:13px}
.notes{border-left:5px solid var(--warn);background:var(--panel);border-radius:10px;padding:10px 20px 10px 36px}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:13.5px}
th,td{padding:6px 10px;text-align:left;border-top:1px solid var(--line);white-space:nowrap}
thead th{background:var(--panel);font-weight:600;border-top:0}
tbody th{font-weight:600;position:sticky;left:0;background:var(--bg)}
tbody th small{white-space:normal;min-width:220px;max-width:420px}
td.number,th.number{text-align:right}.number{font-variant-numeric:tabular-nums}
td[style]{background:color-mix(in srgb,var(--shade) calc(var(--share)*.45),transparent)}
th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid var(--accent)}
th[aria-sort=ascending] button::after{content:" \\25B2"}th[aria-sort=descending] button::after{content:" \\25BC"}
.badge{display:inline-block;padding:0 8px;border-radius:10px;border:1px solid currentColor;font-size:12px}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:16px}figure{margin:0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px}
tfoot th,tfoot td{border-top:2px solid var(--line);font-weight:600}
tr.chosen>*{background:color-mix(in srgb,var(--accent) 12%,var(--bg))}
.chart{width:100%;height:auto;background:var(--panel);border:1px solid var(--line);border-radius:8px}
.chart text{fill:var(--soft);font-size:12px}.chart .label{fill:var(--text)}.grid{stroke:var(--line);stroke-width:1}
.point{fill:var(--soft);stroke:var(--bg);stroke-width:1.2;opacity:.85}.point.kept{stroke:var(--text);opacity:1}
.line polyline{fill:none;stroke-width:2}.frontier{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;margin:8px 0}.legend span{display:flex;gap:6px;
align-items:center}.legend i{width:12px;height:12px;border-radius:3px;display:inline-block}.key{width:16px;height:16px}
.chart .tag{fill:var(--text);font-size:11.5px;
stroke:var(--panel);stroke-width:3;paint-order:stroke}
.tip{white-space:pre-line;min-height:4.6em;margin-top:6px;font-size:13px;color:var(--soft)}
.point.chosen{stroke:var(--text);stroke-width:2;opacity:1}.lead{stroke:var(--soft);stroke-width:.8}
.line.dashed polyline{stroke-dasharray:5 4}.dash{width:22px;border-top:2px dashed var(--soft)}
.dash.solid{border-top-style:solid}
.choose{display:flex;flex-wrap:wrap;gap:8px 18px;align-items:center;font-size:14px}
select{font:inherit;color:var(--text);background:var(--panel);border:1px solid var(--line);border-radius:6px;
padding:3px 6px;max-width:70vw}
.samples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr));gap:18px}
.sample figcaption{font-size:13px;overflow-wrap:anywhere}.sample strong{color:var(--text)}
.stack{position:relative;aspect-ratio:var(--shape);overflow:hidden;
border-radius:6px;margin:4px 0;background:var(--panel)}
.pane,.pane i,.pane b,.stack input{position:absolute;inset:0;width:100%;height:100%;margin:0}
.pane i,.pane b{background:center/100% 100% no-repeat;image-rendering:pixelated}.pane i{background-image:var(--image)}
.blend .pane b{opacity:.6}.left{clip-path:inset(0 calc(100% - var(--cut,50%)) 0 0)}
.stack input{opacity:0;cursor:ew-resize;touch-action:pan-y}
.handle{position:absolute;top:0;bottom:0;left:var(--cut,50%);width:3px;margin-left:-1.5px;background:#fff;
box-shadow:0 0 0 1px #000;pointer-events:none}
.handle::after{content:"";position:absolute;top:50%;left:50%;width:22px;height:22px;margin:-11px;border-radius:50%;
background:#fff;box-shadow:0 0 0 1px #000}
.stack:has(input:focus-visible){outline:3px solid var(--accent);outline-offset:2px}
details{border:1px solid var(--line);border-radius:8px;padding:6px 12px;margin:6px 0}summary{cursor:pointer}
details td:not(.number){white-space:normal;overflow-wrap:anywhere}details .wide{margin:8px 0}
pre{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:12px;font-size:13px;
white-space:pre-wrap;overflow-wrap:anywhere}
footer{margin:40px auto 24px;max-width:1280px;padding:0 20px;color:var(--soft);font-size:13px}
@media print{details,.sample{break-inside:avoid}}
"""
for _at in range(8):
    STYLE += f".s{_at}{{fill:var(--s{_at});stroke:var(--s{_at})}}.point.s{_at}{{stroke:var(--bg)}}"
    STYLE += f".point.kept.s{_at}{{stroke:var(--text)}}i.s{_at}{{background:var(--s{_at})}}\n"
    STYLE += f"b.s{_at}{{border-color:var(--s{_at})}}"
for _side in ("left", "right"):
    for _layer in ("truth", "teacher", "file", "wrong", "changed"):
        STYLE += f"[data-{_side}={_layer}] .{_side} b{{background-image:var(--{_layer},none)}}"
        if _layer in ("wrong", "changed"):
            STYLE += f"[data-{_side}={_layer}] .{_side} i{{filter:grayscale(1) brightness(.75)}}"
            STYLE += f".blend[data-{_side}={_layer}] .{_side} b{{opacity:1}}\n"

SCRIPT = """
for (const compare of document.querySelectorAll(".compare")) {
  const blend = compare.querySelector("input[type=checkbox]");
  const mix = () => compare.classList.toggle("blend", blend.checked);
  blend.addEventListener("change", mix);
  mix();
  for (const select of compare.querySelectorAll("select")) {
    const show = () => { compare.dataset[select.dataset.side] = select.value; };
    select.addEventListener("change", show);
    show();
  }
  for (const slider of compare.querySelectorAll("input[type=range]")) {
    const cut = () => slider.parentElement.style.setProperty("--cut", slider.value + "%");
    slider.addEventListener("input", cut);
    cut();
  }
}
for (const mark of document.querySelectorAll(".point[tabindex]")) {
  const tip = mark.closest(".plots").querySelector(".tip");
  const tell = () => { tip.textContent = mark.querySelector("title").textContent; };
  for (const event of ["focus", "mouseenter", "click"]) mark.addEventListener(event, tell);
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[at].dataset.value;
    const rows = [...table.tBodies[0].rows];
    const numbers = rows.every(row => value(row) === "" || !isNaN(value(row)));
    rows.sort((one, two) => {
      const a = value(one), b = value(two);
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = numbers ? a - b : a.localeCompare(b);
      return up ? order : -order;
    });
    table.tBodies[0].append(...rows);
  }));
}
"""
