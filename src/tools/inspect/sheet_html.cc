// The page: a table of layers and a drawing of the graph, both made here; the script only searches and folds.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "tools/inspect/sheet.h"

namespace tenon::tools {
namespace {

constexpr int kBoxWidth = 210, kBoxHeight = 40, kGapX = 24, kGapY = 30;

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t')
      out += c;
  }
  return out;
}

// At most `limit` code points, from the end, where names differ.
std::string Short(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t at = text.size() - limit + 1;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return "…" + text.substr(at);
}
// The beginning of a text; the box of a layer holds its operator and its type side by side.
std::string Begin(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::string Number(double v) {
  char text[40];
  if (v >= 1e4 && v < 1e15) {
    const char* units[] = {"", "k", "M", "G", "T"};
    int unit = 0;
    while (v >= 1000 && unit < 4) {
      v /= 1000;
      ++unit;
    }
    std::snprintf(text, sizeof text, "%.3g&nbsp;%s", v, units[unit]);
  } else {
    std::snprintf(text, sizeof text, "%.4g", v);
  }
  return text;
}

// Colours by what an operator does; the same op has the same colour everywhere.
int Hue(const std::string& op) {
  unsigned hash = 2166136261U;
  for (const char c : op) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return static_cast<int>(hash % 360);
}

struct Place {
  int level = 0;
  double x = 0;
};

// Levels by the longest way from an input; within a level near to what is read.
std::vector<Place> Laid(const std::vector<Row>& rows, int* levels, int* widest) {
  std::vector<Place> places(rows.size());
  std::vector<std::vector<std::size_t>> by_level;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (const std::size_t k : rows[i].from)
      if (k < i) places[i].level = std::max(places[i].level, places[k].level + 1);
    by_level.resize(std::max(by_level.size(), static_cast<std::size_t>(places[i].level) + 1));
    by_level[static_cast<std::size_t>(places[i].level)].push_back(i);
  }
  *levels = static_cast<int>(by_level.size());
  *widest = 1;
  for (std::vector<std::size_t>& level : by_level) {
    const auto wish = [&](std::size_t i) {
      double sum = 0;
      int n = 0;
      for (const std::size_t k : rows[i].from)
        if (k < i) {
          sum += places[k].x;
          ++n;
        }
      return n == 0 ? 0.0 : sum / n;
    };
    std::stable_sort(level.begin(), level.end(), [&](std::size_t a, std::size_t b) { return wish(a) < wish(b); });
    *widest = std::max(*widest, static_cast<int>(level.size()));
    // Each at its wish, pushed apart; the whole level then moved to where most wishes are.
    double next = -1e9, shift = 0;
    for (const std::size_t i : level) {
      places[i].x = std::max(wish(i), next);
      next = places[i].x + 1;
      shift += wish(i) - places[i].x;
    }
    for (const std::size_t i : level) places[i].x += shift / static_cast<double>(level.size());
  }
  return places;
}

void Draw(std::ostringstream& out, const SignatureSheet& s, std::size_t number) {
  int levels = 0, widest = 0;
  const std::vector<Place> places = Laid(s.rows, &levels, &widest);
  double least = 0, most = 0;
  for (const Place& p : places) {
    least = std::min(least, p.x);
    most = std::max(most, p.x);
  }
  const int width = static_cast<int>((most - least + 1) * (kBoxWidth + kGapX)) + kGapX;
  const int height = levels * (kBoxHeight + kGapY) + kGapY;
  const auto left = [&](std::size_t i) { return kGapX + (places[i].x - least) * (kBoxWidth + kGapX); };
  const auto top = [&](std::size_t i) { return kGapY + places[i].level * (kBoxHeight + kGapY); };
  out << "<svg class=graph width=" << width << " height=" << height << " viewBox=\"0 0 " << width << ' ' << height
      << "\" xmlns=\"http://www.w3.org/2000/svg\">\n";
  char text[200];
  for (std::size_t i = 0; i < s.rows.size(); ++i)
    for (const std::size_t k : s.rows[i].from) {
      if (k >= i) continue;
      const double x0 = left(k) + kBoxWidth / 2.0, y0 = top(k) + kBoxHeight, x1 = left(i) + kBoxWidth / 2.0,
                   y1 = top(i);
      const double bend = std::min(60.0, (y1 - y0) / 2);
      std::snprintf(text, sizeof text, "<path d=\"M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f\"/>\n", x0, y0, x0,
                    y0 + bend, x1, y1 - bend, x1, y1);
      out << text;
    }
  for (std::size_t i = 0; i < s.rows.size(); ++i) {
    const Row& row = s.rows[i];
    out << "<a href=\"#r" << number << '_' << i << "\"><g class=box data-find=\"" << Escaped(row.name + " " + row.op)
        << "\"><title>" << Escaped(row.name + "\n" + row.op + "\n" + row.type) << "</title>";
    std::snprintf(text, sizeof text,
                  "<rect x=\"%.0f\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\" fill=\"hsl(%d,55%%,90%%)\" "
                  "stroke=\"hsl(%d,45%%,50%%)\"/>",
                  left(i), top(i), kBoxWidth, kBoxHeight, Hue(row.op), Hue(row.op));
    out << text;
    std::snprintf(text, sizeof text, "<text x=\"%.0f\" y=\"%d\" class=op>", left(i) + 8, top(i) + 16);
    out << text << Escaped(Begin(row.op, 28 - std::min<std::size_t>(row.type.size(), 18))) << "</text>";
    std::snprintf(text, sizeof text, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"end\">", left(i) + kBoxWidth - 8,
                  top(i) + 16);
    out << text << Escaped(Short(row.type, 18)) << "</text>";
    std::snprintf(text, sizeof text, "<text x=\"%.0f\" y=\"%d\">", left(i) + 8, top(i) + 32);
    out << text << Escaped(Short(row.name, 33)) << "</text></g></a>\n";
  }
  out << "</svg>\n";
}

void Histogram(std::ostringstream& out, const WeightStats& w) {
  const std::int64_t most = std::max<std::int64_t>(1, *std::max_element(w.bins.begin(), w.bins.end()));
  out << "<svg class=bins width=97 height=24>";
  for (std::size_t i = 0; i < w.bins.size(); ++i) {
    const double h = 23.0 * static_cast<double>(w.bins[i]) / static_cast<double>(most);
    char text[100];
    std::snprintf(text, sizeof text, "<rect x=\"%zu\" y=\"%.1f\" width=\"3\" height=\"%.1f\"/>", i * 4, 24 - h, h);
    out << text;
  }
  out << "</svg>";
}

void Table(std::ostringstream& out, const SignatureSheet& s, std::size_t number) {
  out << "<table class=layers><thead><tr><th>layer<th>operator<th>result<th>reads<th>parameters<th>FLOPs<th>share"
         "<th>weights</tr></thead><tbody>\n";
  for (std::size_t i = 0; i < s.rows.size(); ++i) {
    const Row& row = s.rows[i];
    const double share = s.flops > 0 ? 100 * row.flops / s.flops : 0;
    out << "<tr id=\"r" << number << '_' << i << "\" data-find=\"" << Escaped(row.name + " " + row.op) << "\"><td>"
        << Escaped(row.name);
    if (!row.node.empty() && row.node != row.name) out << "<br><small>" << Escaped(row.node) << "</small>";
    out << "<td><b style=\"color:hsl(" << Hue(row.op) << ",60%,32%)\">" << Escaped(row.op) << "</b><td>"
        << Escaped(row.type) << "<td>";
    for (const std::size_t k : row.from)
      out << "<a href=\"#r" << number << '_' << k << "\">" << Escaped(Short(s.rows[k].name, 28)) << "</a><br>";
    out << "<td class=n>" << (row.parameters > 0 ? Number(static_cast<double>(row.parameters)) : "") << "<td class=n>"
        << (row.flops > 0 ? Number(row.flops) : "") << "<td>";
    char text[120];
    if (share >= 0.05) {
      std::snprintf(text, sizeof text, "<div class=bar style=\"width:%.0fpx\"></div>%.1f %%", share, share);
      out << text;
    }
    out << "<td>";
    if (!row.weights.empty()) {
      out << "<details><summary>" << row.weights.size() << (row.weights.size() == 1 ? " tensor" : " tensors")
          << "</summary>";
      for (const WeightStats& w : row.weights) {
        out << "<div class=weight>" << Escaped(w.name) << " <i>" << Escaped(w.type) << "</i><br>";
        Histogram(out, w);
        std::snprintf(text, sizeof text, " %.4g … %.4g, mean %.4g, deviation %.4g", w.min, w.max, w.mean, w.deviation);
        out << text;
        if (w.zeros > 0) {
          std::snprintf(text, sizeof text, ", %.1f %% zeros", 100 * w.zeros);
          out << text;
        }
        out << "</div>";
      }
      out << "</details>";
    }
    out << "</tr>\n";
  }
  out << "</tbody></table>\n";
}

constexpr std::string_view kStyle = R"(
body{font:14px/1.45 system-ui,sans-serif;margin:24px;color:#1c2330;background:#fff}
h1{font-size:20px;margin:0 0 4px}h2{font-size:16px;margin:26px 0 8px}
small,i{color:#6b7484}
.cards{display:flex;flex-wrap:wrap;gap:10px;margin:14px 0}
.card{border:1px solid #d8dde6;border-radius:8px;padding:8px 14px;min-width:110px}
.card b{display:block;font-size:18px}
.chips span{display:inline-block;background:#eef1f6;border-radius:10px;padding:1px 9px;margin:2px}
.bad{background:#fff1f0;border:1px solid #f0b4ae;border-radius:8px;padding:8px 14px;white-space:pre-wrap}
table{border-collapse:collapse}td,th{padding:4px 10px;border-bottom:1px solid #e4e8ef;text-align:left;vertical-align:top}
th{position:sticky;top:0;background:#fff}td.n{text-align:right}
tr:target{background:#fff6d6}
.bar{display:inline-block;height:9px;background:#5b8def;margin-right:6px;border-radius:2px}
.frame{overflow:auto;max-height:80vh;border:1px solid #d8dde6;border-radius:8px}
svg.graph path{fill:none;stroke:#9aa5b6}svg.graph text{font:11px system-ui,sans-serif;fill:#1c2330}
svg.graph .op{font-weight:700}svg.bins rect{fill:#5b8def}svg.bins{vertical-align:middle}
.dim{opacity:.15}.gone{display:none}
#find{font:inherit;padding:5px 10px;width:320px;border:1px solid #b9c1ce;border-radius:6px}
)";

constexpr std::string_view kScript = R"(
const find=document.getElementById('find');
find.addEventListener('input',()=>{const t=find.value.toLowerCase();
for(const e of document.querySelectorAll('[data-find]')){const off=t&&!e.dataset.find.toLowerCase().includes(t);
e.classList.toggle(e.tagName==='TR'?'gone':'dim',off);}});
document.getElementById('fold').addEventListener('click',()=>{const all=[...document.querySelectorAll('.layers details')];
const open=all.some(d=>!d.open);for(const d of all)d.open=open;});
)";

}  // namespace

std::string SheetHtml(const Sheet& sheet) {
  std::ostringstream out;
  const std::string leaf =
      sheet.path.substr(sheet.path.rfind('/') == std::string::npos ? 0 : sheet.path.rfind('/') + 1);
  out << "<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>" << Escaped(leaf) << "</title><style>"
      << kStyle << "</style></head><body>\n<h1>" << Escaped(leaf) << "</h1><small>" << Escaped(sheet.format);
  for (const auto& [domain, version] : sheet.opsets) out << " · " << Escaped(domain) << ' ' << version;
  for (const auto& [key, value] : sheet.metadata)
    if (key == "producer" || key == "ir_version" || key == "name") out << " · " << Escaped(key + " " + value);
  double flops = 0;
  std::int64_t peak = 0;
  for (const SignatureSheet& s : sheet.signatures) {
    flops = std::max(flops, s.flops);
    peak = std::max(peak, s.peak_activations);
  }
  out << "</small>\n<div class=cards><div class=card><b>" << Number(static_cast<double>(sheet.parameters))
      << "</b>parameters</div><div class=card><b>" << Number(static_cast<double>(sheet.weight_bytes))
      << "B</b>weights</div>";
  if (sheet.unsupported.empty())
    out << "<div class=card><b>" << Number(flops) << "</b>FLOPs at batch " << sheet.batch << "</div><div class=card><b>"
        << Number(static_cast<double>(peak)) << "B</b>activations at the peak</div>";
  if (sheet.trainable > 0)
    out << "<div class=card><b>" << Number(static_cast<double>(sheet.trainable)) << "</b>trainable</div>";
  out << "</div>\n";
  if (!sheet.unsupported.empty()) {
    out << "<div class=bad><b>Cannot be translated</b>\n";
    for (const std::string& line : sheet.unsupported) out << Escaped(line) << '\n';
    out << "</div>\n";
  }
  if (!sheet.source_ops.empty()) {
    out << "<h2>Operators</h2><div class=chips>";
    for (const auto& [op, count] : sheet.source_ops) out << "<span>" << Escaped(op) << " <b>" << count << "</b></span>";
    out << "</div>\n";
  }
  out << "<p><input id=find placeholder=\"find a layer or operator\"> <button id=fold>unfold weights</button></p>\n";
  for (std::size_t n = 0; n < sheet.signatures.size(); ++n) {
    const SignatureSheet& s = sheet.signatures[n];
    out << "<h2>" << Escaped(s.name) << "</h2>\n<table>";
    for (const auto& [name, type] : s.inputs)
      out << "<tr><td><i>input</i><td>" << Escaped(name) << "<td>" << Escaped(type) << "</tr>";
    for (const auto& [name, type] : s.outputs)
      out << "<tr><td><i>output</i><td>" << Escaped(name) << "<td>" << Escaped(type) << "</tr>";
    out << "</table>\n";
    if (!s.note.empty()) out << "<p>" << Escaped(s.note) << "</p>\n";
    out << "<details open><summary>Graph</summary><div class=frame>\n";
    Draw(out, s, n);
    out << "</div></details>\n<details open><summary>Layers</summary>\n";
    Table(out, s, n);
    out << "</details>\n";
  }
  out << "<script>" << kScript << "</script></body></html>\n";
  return std::move(out).str();
}

}  // namespace tenon::tools
