#include "ops/text_case_util.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <iterator>

#include "ops/text_util.h"

namespace tenon::ir::ops {
namespace {

constexpr std::uint32_t kSigma = 0x3a3, kSmallSigma = 0x3c3, kFinalSigma = 0x3c2, kDottedI = 0x130,
                        kReplacement = 0xfffd;

bool Ignorable(std::uint32_t point) {
  const auto* range = std::upper_bound(std::begin(kCaseIgnorable), std::end(kCaseIgnorable), point,
                                       [](std::uint32_t p, const PointRange& r) { return p < r.first; });
  return range != std::begin(kCaseIgnorable) && point <= range[-1].last;
}
bool Cased(std::uint32_t point, locale_t locale) {
  const auto wide = static_cast<wint_t>(point);
  return iswupper_l(wide, locale) != 0 || iswlower_l(wide, locale) != 0 || towupper_l(wide, locale) != wide ||
         towlower_l(wide, locale) != wide;
}
// Whether a letter with a case is next from byte `at` on, past what does not part words.
bool LetterFollows(const std::string& text, std::size_t at, locale_t locale) {
  while (at < text.size()) {
    const Point point = PointAt(text, at);
    if (point.value < 0) return false;
    const auto value = static_cast<std::uint32_t>(point.value);
    if (!Ignorable(value)) return Cased(value, locale);
    at += point.length;
  }
  return false;
}
void AppendUpper(std::string& out, std::uint32_t point, locale_t locale) {
  const auto* found = std::lower_bound(std::begin(kLongUppers), std::end(kLongUppers), point,
                                       [](const LongUpper& l, std::uint32_t p) { return l.point < p; });
  if (found == std::end(kLongUppers) || found->point != point) {
    AppendPoint(out, static_cast<std::uint32_t>(towupper_l(static_cast<wint_t>(point), locale)));
    return;
  }
  for (const std::uint32_t upper : found->upper)
    if (upper != 0) AppendPoint(out, upper);
}

}  // namespace

std::string FullCase(const std::string& text, bool upper) {
  static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (kLocale == nullptr) return ChangeCase(text, upper);
  std::string out;
  out.reserve(text.size());
  bool in_word = false;  // a letter with a case stands before, past what does not part words
  for (std::size_t at = 0; at < text.size();) {
    const Point read = PointAt(text, at);
    at += read.length;
    const std::uint32_t point = read.value < 0 ? kReplacement : static_cast<std::uint32_t>(read.value);
    if (upper) {
      AppendUpper(out, point, kLocale);
      continue;
    }
    if (point == kSigma) {
      AppendPoint(out, in_word && !LetterFollows(text, at, kLocale) ? kFinalSigma : kSmallSigma);
    } else if (point == kDottedI) {
      AppendPoint(out, 'i');
      AppendPoint(out, 0x307);
    } else {
      AppendPoint(out, static_cast<std::uint32_t>(towlower_l(static_cast<wint_t>(point), kLocale)));
    }
    if (!Ignorable(point)) in_word = Cased(point, kLocale);
  }
  return out;
}

}  // namespace tenon::ir::ops
