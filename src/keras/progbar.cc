#include "keras/progbar.h"

#include <cmath>
#include <cstdio>
#include <ostream>

namespace tenon::keras {
namespace {

template <class... A>
std::string Format(const char* format, A... args) {
  char text[64];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

std::string Value(double v, bool absolute) { return Format((absolute ? std::fabs(v) : v) > 1e-3 ? "%.4f" : "%.4e", v); }

// Characters on a terminal: escapes and UTF-8 continuation bytes take none.
std::size_t Width(const std::string& s) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '\x1b') {
      while (i < s.size() && s[i] != 'm') ++i;
      continue;
    }
    if ((static_cast<unsigned char>(s[i]) & 0xc0U) != 0x80U) ++n;
  }
  return n;
}

}  // namespace

Progbar::Progbar(int target, int verbose, bool terminal, std::ostream& out)
    : target_(target), verbose_(verbose), terminal_(terminal), out_(out) {}

bool Progbar::Due() const {
  return verbose_ == 1 && terminal_ && (!drawn_ || Clock::now() - last_ >= std::chrono::milliseconds(50));
}

std::string Progbar::Values(const Logs& logs, bool absolute) {
  std::string out;
  for (const bool validation : {false, true})
    for (const auto& [name, value] : logs)
      if (name.starts_with("val_") == validation) out += " - " + name + ": " + Value(value, absolute);
  return out;
}

std::string Progbar::TimePerStep(int current, double now) const {
  // The first step builds and compiles: it does not count when there are others.
  const double per =
      current <= 1 || after_first_ < 0 ? now / std::max(current, 1) : (now - after_first_) / (current - 1);
  if (per >= 1 || per == 0) return Format(" %.0fs/step", per);
  if (per >= 1e-3) return Format(" %.0fms/step", per * 1e3);
  return Format(" %.0fus/step", per * 1e6);
}

std::string Progbar::Bar(int current, double now, bool finalize) const {
  std::string out;
  const std::string bold = terminal_ ? "\x1b[1m" : "", plain = terminal_ ? "\x1b[0m" : "";
  if (target_ >= 0) {
    const int digits = static_cast<int>(std::to_string(target_).size());
    out += bold + Format("%*d/%d", digits, current, target_) + plain + " ";
    const int done = target_ > 0 ? static_cast<int>(20.0 * current / target_) : 20;
    out += terminal_ ? "\x1b[32m" : "";
    for (int i = 0; i < done; ++i) out += "━";
    out += terminal_ ? "\x1b[0m\x1b[37m" : "";
    for (int i = done; i < 20; ++i) out += "━";
    out += plain;
  } else {
    out += bold + Format("%7d/Unknown", current) + plain;
  }
  out += " " + bold;
  if (target_ >= 0 && !finalize) {
    const double per = current > 1 && after_first_ >= 0 ? (now - after_first_) / (current - 1)
                       : current > 0                    ? now / current
                                                        : 0;
    const int eta = static_cast<int>(per * (target_ - current));
    if (eta > 3600)
      out += Format("%d:%02d:%02d", eta / 3600, eta % 3600 / 60, eta % 60);
    else if (eta > 60)
      out += Format("%d:%02d", eta / 60, eta % 60);
    else
      out += Format("%ds", eta);
  } else {
    out += Format("%.0fs", now);
  }
  return out + plain + TimePerStep(current, now);
}

void Progbar::FirstStepDone() { after_first_ = std::chrono::duration<double>(Clock::now() - start_).count(); }

void Progbar::Update(int current, const Logs& logs, bool finalize) {
  const Clock::time_point time = Clock::now();
  const double now = std::chrono::duration<double>(time - start_).count();
  if (verbose_ == 1) {
    if (!finalize && !Due()) return;
    last_ = time;
    std::string line = Bar(current, now, finalize) + Values(logs, true);
    const std::size_t width = Width(line);
    if (terminal_) {
      std::string head;
      if (drawn_) head = std::string(width_, '\b') + "\r";
      if (width_ > width) line += std::string(width_ - width, ' ');
      out_ << head << line;
      width_ = std::max(width, width_);
    } else {
      out_ << line;
    }
    drawn_ = true;
    if (finalize) out_ << '\n';
    out_.flush();
  } else if (verbose_ == 2 && finalize) {
    out_ << current << '/' << (target_ >= 0 ? std::to_string(target_) : "Unknown") << Format(" - %.0fs", now) << " -"
         << TimePerStep(current, now) << Values(logs, false) << '\n';
    out_.flush();
  }
}

}  // namespace tenon::keras
