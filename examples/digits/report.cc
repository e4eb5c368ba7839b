#include "report.h"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

#include "write_whole.h"

namespace digits {
namespace {

std::string Escape(const std::string& s) {
  std::string out;
  for (const char c : s) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

std::string Base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned v = 0;
    for (std::size_t k = 0; k < 3; ++k)
      v = v << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? kDigits[v >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

// The image as SVG: a rectangle for each pixel that is not white.
std::string Image(const std::vector<float>& pixels) {
  std::string out = "<svg viewBox='0 0 28 28' width='84' height='84' shape-rendering='crispEdges'>";
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (pixels[i] < 0.05F) continue;
    char rect[96];
    std::snprintf(rect, sizeof rect, "<rect x='%d' y='%d' width='1' height='1' fill-opacity='%.2f'/>",
                  static_cast<int>(i % 28), static_cast<int>(i / 28), static_cast<double>(pixels[i]));
    out += rect;
  }
  return out + "</svg>";
}

}  // namespace

bool WriteReport(const Report& report, const std::string& path) {
  std::ifstream plot(report.plot_path, std::ios::binary);
  const std::string png((std::istreambuf_iterator<char>(plot)), std::istreambuf_iterator<char>());
  std::ostringstream out;
  out << "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>" << Escape(report.title)
      << "</title><style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 "
         "1rem;color:#222}pre{background:#f6f6f6;padding:1rem;overflow-x:auto;font-size:13px;line-height:1.3}"
         "td{padding:.2rem 1rem .2rem 0}figure{display:inline-block;margin:0 1rem 1rem "
         "0;text-align:center}figcaption.wrong{color:#b00}img{max-width:100%}</style></head><body><h1>"
      << Escape(report.title) << "</h1><table>";
  for (const auto& [what, value] : report.facts)
    out << "<tr><td>" << Escape(what) << "</td><td>" << Escape(value) << "</td></tr>";
  out << "</table><h2>Training</h2>";
  if (!png.empty()) out << "<img alt='training curves' src='data:image/png;base64," << Base64(png) << "'>";
  out << "<h2>Model</h2><pre>" << Escape(report.summary) << "</pre><h2>Verification of the exports</h2><pre>"
      << Escape(report.verification) << "</pre><h2>Served predictions</h2>";
  for (const Report::Prediction& p : report.predictions) {
    char text[64];
    std::snprintf(text, sizeof text, "%d (%.3f), label %d", p.predicted, p.probability, p.label);
    out << "<figure>" << Image(p.pixels) << "<figcaption" << (p.predicted == p.label ? "" : " class='wrong'") << ">"
        << text << "</figcaption></figure>";
  }
  out << "</body></html>\n";
  return WriteWhole(path, out.str());
}

}  // namespace digits
