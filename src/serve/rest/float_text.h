// Floats as TensorFlow Serving prints them: as printf's %g with 6 significant digits when that reads back as the same
// value, else with 9 (float) or 17 (double); ".0" is appended to a text without point and exponent. NaN, Infinity and
// -Infinity are bare words.
#pragma once
#include <string>

namespace tenon::serve {

/// Room for one number.
inline constexpr int kFloatTextMax = 32;

/// Writes the text at `out` (kFloatTextMax bytes of room); returns its end.
char* FloatText(float value, char* out);
char* DoubleText(double value, char* out);

/// The shortest text that reads back as the same double, in the layout that RapidJSON gives it (1.0, 0.001, 1e30,
/// 123456789.5); finite values only. For values quoted in messages.
char* ShortestText(double value, char* out);

}  // namespace tenon::serve
