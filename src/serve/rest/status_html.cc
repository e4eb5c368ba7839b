#include "serve/rest/status_page.h"

namespace tenon::serve {

std::string_view StatusHtml() {
  return R"html(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Tenon</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #222; background: #fafafa }
 h1 { font-weight: 600; font-size: 1.4em } h2 { font-size: 1.1em; margin-top: 1.6em }
 table { border-collapse: collapse; width: 100%; background: #fff } td, th { text-align: left; padding: .3em .7em; border-bottom: 1px solid #e4e4e4 }
 th { font-weight: 600; color: #555 } td.n { text-align: right; font-variant-numeric: tabular-nums }
 .AVAILABLE { color: #0a7a32 } .END { color: #b00020 } .LOADING, .START, .UNLOADING { color: #a06000 }
 canvas { width: 100%; height: 150px; background: #fff; border: 1px solid #e4e4e4 }
 textarea { width: 100%; height: 7em; font: 13px monospace; box-sizing: border-box } pre { background: #fff; border: 1px solid #e4e4e4; padding: .6em; overflow: auto; max-height: 20em }
 .plots { display: grid; grid-template-columns: 1fr 1fr; gap: 1em } @media (max-width: 40em) { .plots { grid-template-columns: 1fr } }
 #down { color: #b00020 }
</style></head><body>
<h1>Tenon <small id="about"></small> <small id="down" role="alert"></small></h1>
<h2>Models</h2>
<table><thead><tr><th>model<th>version<th>state<th>requests<th>errors<th>requests/s<th>p50 ms<th>p99 ms</tr></thead><tbody id="models"></tbody></table>
<div class="plots"><div><h2>Requests a second</h2><canvas id="rate" width="600" height="150"></canvas></div>
<div><h2>Latency, ms (p50, p99)</h2><canvas id="latency" width="600" height="150"></canvas></div></div>
<h2>Try</h2>
<form id="try"><label>Model <select id="model"></select></label> <label>Method <select id="verb"><option>predict<option>classify<option>regress</select></label>
<button>Send</button><textarea id="body" aria-label="request body"></textarea></form>
<pre id="answer"></pre>
<p><a href="/metrics">metrics</a> · <a href="/openapi.json">OpenAPI</a> · <a href="/status.json">status as JSON</a></p>
<script>
'use strict';
const $ = id => document.getElementById(id), history = [];
let before = null, examples = {};
function quantile(bounds, counts, q) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!total) return null;
  let below = 0;
  for (let i = 0; i < bounds.length; i++) {
    if (counts[i] && below + counts[i] >= q * total) {
      const from = i ? bounds[i - 1] : 0;
      return from + (bounds[i] - from) * (q * total - below) / counts[i];
    }
    below += counts[i];
  }
  return bounds[bounds.length - 1];
}
function cell(row, text, kind) { const td = row.insertCell(); td.textContent = text; if (kind) td.className = kind; }
const ms = s => s === null ? '–' : (1000 * s).toFixed(2);
function plot(id, series, colours) {
  const canvas = $(id), g = canvas.getContext('2d'), w = canvas.width, h = canvas.height;
  g.clearRect(0, 0, w, h);
  const top = Math.max(1e-9, ...series.flat().filter(v => v !== null)) * 1.1;
  g.fillStyle = '#888'; g.font = '11px sans-serif'; g.fillText(top.toPrecision(3), 4, 12);
  series.forEach((values, k) => {
    g.strokeStyle = colours[k]; g.beginPath();
    values.forEach((v, i) => { if (v !== null) g.lineTo(i * w / 119, h - 4 - v / top * (h - 8)); });
    g.stroke();
  });
}
function show(s, now) {
  $('about').textContent = `${(s.resident_bytes / 1048576).toFixed(0)} MB, ${s.inflight} in flight, up ${s.uptime_seconds.toFixed(0)} s`;
  const body = $('models'), seconds = before ? (now - before.now) / 1000 : 0;
  body.replaceChildren();
  let rate = 0, all = [], bounds = [];
  for (const m of s.models) {
    const old = before && before.s.models.find(o => o.name === m.name);
    const counts = m.counts.map((c, i) => c - (old && old.counts.length ? old.counts[i] : 0));
    const r = old && seconds ? (m.requests - old.requests) / seconds : 0;
    rate += r;
    if (m.bounds.length) { bounds = m.bounds; counts.forEach((c, i) => all[i] = (all[i] || 0) + c); }
    const versions = m.versions.length ? m.versions : [{version: '–', state: 'END', error: m.error || ''}];
    versions.forEach((v, i) => {
      const row = body.insertRow();
      cell(row, i ? '' : m.name); cell(row, v.version, 'n'); cell(row, v.error ? `${v.state}: ${v.error}` : v.state, v.state);
      if (!i) for (const t of [m.requests, m.errors, r.toFixed(0), ms(quantile(m.bounds, counts, .5)), ms(quantile(m.bounds, counts, .99))]) cell(row, t, 'n');
    });
    if (!(m.name in examples)) { const o = document.createElement('option'); o.textContent = m.name; $('model').append(o); if (!$('body').value) $('body').value = m.example; }
    examples[m.name] = m.example;
  }
  if (before) history.push({rate, p50: quantile(bounds, all, .5), p99: quantile(bounds, all, .99)});
  if (history.length > 120) history.shift();
  plot('rate', [history.map(p => p.rate)], ['#1565c0']);
  plot('latency', [history.map(p => p.p50 === null ? null : 1000 * p.p50), history.map(p => p.p99 === null ? null : 1000 * p.p99)], ['#2e7d32', '#c62828']);
  before = {s, now};
}
async function tick() {
  try { show(await (await fetch('/status.json', {cache: 'no-store'})).json(), performance.now()); $('down').textContent = ''; }
  catch (e) { $('down').textContent = 'the server does not answer'; }
  setTimeout(tick, 1000);
}
$('model').onchange = () => { $('body').value = examples[$('model').value]; };
$('try').onsubmit = async e => {
  e.preventDefault();
  const begun = performance.now();
  try {
    const r = await fetch(`/v1/models/${encodeURIComponent($('model').value)}:${$('verb').value}`, {method: 'POST', body: $('body').value});
    const text = await r.text();
    $('answer').textContent = `${r.status} in ${(performance.now() - begun).toFixed(1)} ms\n${text}`;
  } catch (error) { $('answer').textContent = String(error); }
};
tick();
</script></body></html>
)html";
}

}  // namespace tenon::serve
