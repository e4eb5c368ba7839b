#include "plot.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "write_whole.h"

namespace digits {
namespace {

struct Curve {
  const char* name;
  double r, g, b;
};

void Text(cairo_t* c, double x, double y, const std::string& text, double align) {
  cairo_text_extents_t size;
  cairo_text_extents(c, text.c_str(), &size);
  cairo_move_to(c, x - align * size.width, y);
  cairo_show_text(c, text.c_str());
}

void Panel(cairo_t* c, double left, const std::string& title, const tenon::keras::History& history,
           const Curve (&curves)[2]) {
  constexpr double kTop = 50, kWidth = 360, kHeight = 240;
  double low = 1e300, high = -1e300;
  std::size_t epochs = 0;
  for (const Curve& curve : curves) {
    const auto it = history.history.find(curve.name);
    if (it == history.history.end()) continue;
    for (const double v : it->second) {
      if (!std::isfinite(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
    epochs = std::max(epochs, it->second.size());
  }
  if (epochs == 0) return;
  if (high - low < 1e-9) high = low + 1e-9;
  const double margin = (high - low) * 0.08;
  low -= margin;
  high += margin;
  cairo_set_source_rgb(c, 0.15, 0.15, 0.15);
  cairo_set_font_size(c, 16);
  Text(c, left + kWidth / 2, kTop - 18, title, 0.5);
  cairo_set_font_size(c, 11);
  cairo_set_line_width(c, 1);
  for (int i = 0; i <= 4; ++i) {
    const double y = kTop + kHeight * i / 4;
    cairo_set_source_rgb(c, 0.88, 0.88, 0.88);
    cairo_move_to(c, left, y);
    cairo_line_to(c, left + kWidth, y);
    cairo_stroke(c);
    char label[32];
    std::snprintf(label, sizeof label, "%.3f", high - (high - low) * i / 4);
    cairo_set_source_rgb(c, 0.35, 0.35, 0.35);
    Text(c, left - 8, y + 4, label, 1);
  }
  const auto x_of = [&](std::size_t e) {
    return epochs == 1 ? left + kWidth / 2 : left + kWidth * static_cast<double>(e) / static_cast<double>(epochs - 1);
  };
  for (std::size_t e = 0; e < epochs; ++e) Text(c, x_of(e), kTop + kHeight + 18, std::to_string(e + 1), 0.5);
  Text(c, left + kWidth / 2, kTop + kHeight + 36, "epoch", 0.5);
  double legend = left;
  for (const Curve& curve : curves) {
    const auto it = history.history.find(curve.name);
    if (it == history.history.end()) continue;
    cairo_set_source_rgb(c, curve.r, curve.g, curve.b);
    cairo_set_line_width(c, 2.2);
    for (std::size_t e = 0; e < it->second.size(); ++e) {
      const double y = kTop + kHeight * (high - it->second[e]) / (high - low);
      e == 0 ? cairo_move_to(c, x_of(e), y) : cairo_line_to(c, x_of(e), y);
    }
    cairo_stroke(c);
    for (std::size_t e = 0; e < it->second.size(); ++e) {
      cairo_arc(c, x_of(e), kTop + kHeight * (high - it->second[e]) / (high - low), 3, 0, 2 * M_PI);
      cairo_fill(c);
    }
    cairo_rectangle(c, legend, kTop + kHeight + 46, 14, 4);
    cairo_fill(c);
    Text(c, legend + 20, kTop + kHeight + 53, curve.name, 0);
    legend += 130;
  }
}

}  // namespace

bool PlotHistory(const tenon::keras::History& history, const std::string& path) {
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 920, 370);
  cairo_t* c = cairo_create(surface);
  cairo_set_source_rgb(c, 1, 1, 1);
  cairo_paint(c);
  cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  Panel(c, 70, "loss", history, {{"loss", 0.12, 0.47, 0.71}, {"val_loss", 1.0, 0.5, 0.05}});
  Panel(c, 530, "accuracy", history, {{"accuracy", 0.12, 0.47, 0.71}, {"val_accuracy", 1.0, 0.5, 0.05}});
  std::string png;
  const auto append = [](void* to, const unsigned char* data, unsigned size) {
    static_cast<std::string*>(to)->append(reinterpret_cast<const char*>(data), size);
    return CAIRO_STATUS_SUCCESS;
  };
  const bool drawn = cairo_surface_write_to_png_stream(surface, append, &png) == CAIRO_STATUS_SUCCESS;
  cairo_destroy(c);
  cairo_surface_destroy(surface);
  return drawn && WriteWhole(path, png);
}

}  // namespace digits
