#include "data/glyphs.h"

#include <array>

namespace tenon::data {
namespace {

using enum StrokeKind;

constexpr PenPoint k0Points00[] = {{0.5, 0}, {0.85, 0.13}, {0.96, 0.5}, {0.86, 0.87},
                                   {0.5, 1}, {0.14, 0.87}, {0.04, 0.5}, {0.15, 0.13}};
constexpr Stroke k0Style0[] = {{kLoop, k0Points00}};
constexpr PenPoint k0Points10[] = {{0.62, 0.02}, {0.26, 0.08}, {0.05, 0.46}, {0.22, 0.92}, {0.54, 1},
                                   {0.9, 0.78},  {0.94, 0.36}, {0.72, 0.05}, {0.44, 0.07}};
constexpr Stroke k0Style1[] = {{kCurve, k0Points10}};
constexpr PenPoint k0Points20[] = {{0.52, 0}, {0.76, 0.18}, {0.8, 0.52}, {0.72, 0.86},
                                   {0.5, 1},  {0.28, 0.84}, {0.22, 0.5}, {0.29, 0.16}};
constexpr Stroke k0Style2[] = {{kLoop, k0Points20}};
constexpr Glyph k0[] = {k0Style0, k0Style1, k0Style2};

constexpr PenPoint k1Points00[] = {{0.5, 0}, {0.5, 1}};
constexpr Stroke k1Style0[] = {{kLines, k1Points00}};
constexpr PenPoint k1Points10[] = {{0.28, 0.24}, {0.56, 0}, {0.56, 1}};
constexpr Stroke k1Style1[] = {{kLines, k1Points10}};
constexpr PenPoint k1Points20[] = {{0.26, 0.22}, {0.54, 0}, {0.54, 1}};
constexpr PenPoint k1Points21[] = {{0.24, 1}, {0.84, 1}};
constexpr Stroke k1Style2[] = {{kLines, k1Points20}, {kLines, k1Points21}};
constexpr PenPoint k1Points30[] = {{0.46, 0}, {0.5, 0.5}, {0.54, 1}};
constexpr Stroke k1Style3[] = {{kCurve, k1Points30}};
constexpr Glyph k1[] = {k1Style0, k1Style1, k1Style2, k1Style3};

constexpr PenPoint k2Points00[] = {{0.08, 0.26}, {0.28, 0.03}, {0.68, 0.02}, {0.9, 0.26},
                                   {0.74, 0.54}, {0.38, 0.8},  {0.05, 1}};
constexpr PenPoint k2Points01[] = {{0.05, 1}, {0.95, 1}};
constexpr Stroke k2Style0[] = {{kCurve, k2Points00}, {kLines, k2Points01}};
constexpr PenPoint k2Points10[] = {{0.1, 0.24}, {0.32, 0.01}, {0.7, 0.03},  {0.88, 0.28}, {0.66, 0.62}, {0.26, 0.94},
                                   {0.06, 0.9}, {0.16, 0.76}, {0.42, 0.88}, {0.7, 1},     {0.96, 0.92}};
constexpr Stroke k2Style1[] = {{kCurve, k2Points10}};
constexpr PenPoint k2Points20[] = {{0.1, 0.16}, {0.4, 0}, {0.82, 0.08}, {0.86, 0.34}, {0.54, 0.68}, {0.1, 0.99}};
constexpr PenPoint k2Points21[] = {{0.1, 0.99}, {0.5, 0.95}, {0.94, 1}};
constexpr Stroke k2Style2[] = {{kCurve, k2Points20}, {kCurve, k2Points21}};
constexpr Glyph k2[] = {k2Style0, k2Style1, k2Style2};

constexpr PenPoint k3Points00[] = {{0.1, 0.13}, {0.44, 0}, {0.84, 0.17}, {0.76, 0.41}, {0.4, 0.48}};
constexpr PenPoint k3Points01[] = {{0.4, 0.48}, {0.84, 0.57}, {0.92, 0.8}, {0.54, 1}, {0.06, 0.88}};
constexpr Stroke k3Style0[] = {{kCurve, k3Points00}, {kCurve, k3Points01}};
constexpr PenPoint k3Points10[] = {{0.1, 0.01}, {0.84, 0.01}, {0.46, 0.4}};
constexpr PenPoint k3Points11[] = {{0.46, 0.4}, {0.88, 0.52}, {0.9, 0.84}, {0.52, 1}, {0.07, 0.9}};
constexpr Stroke k3Style1[] = {{kLines, k3Points10}, {kCurve, k3Points11}};
constexpr PenPoint k3Points20[] = {{0.14, 0.06}, {0.5, 0},     {0.8, 0.14},  {0.68, 0.38}, {0.44, 0.46},
                                   {0.76, 0.54}, {0.88, 0.76}, {0.66, 0.98}, {0.3, 1},     {0.1, 0.88}};
constexpr Stroke k3Style2[] = {{kCurve, k3Points20}};
constexpr Glyph k3[] = {k3Style0, k3Style1, k3Style2};

constexpr PenPoint k4Points00[] = {{0.16, 0}, {0.09, 0.56}, {0.92, 0.54}};
constexpr PenPoint k4Points01[] = {{0.74, 0.04}, {0.68, 1}};
constexpr Stroke k4Style0[] = {{kLines, k4Points00}, {kLines, k4Points01}};
constexpr PenPoint k4Points10[] = {{0.66, 1}, {0.66, 0}, {0.05, 0.68}, {0.96, 0.68}};
constexpr Stroke k4Style1[] = {{kLines, k4Points10}};
constexpr PenPoint k4Points20[] = {{0.14, 0}, {0.1, 0.38}, {0.32, 0.58}, {0.79, 0.5}};
constexpr PenPoint k4Points21[] = {{0.84, 0}, {0.76, 1}};
constexpr Stroke k4Style2[] = {{kCurve, k4Points20}, {kLines, k4Points21}};
constexpr Glyph k4[] = {k4Style0, k4Style1, k4Style2};

constexpr PenPoint k5Points00[] = {{0.88, 0.01}, {0.24, 0.01}, {0.18, 0.43}};
constexpr PenPoint k5Points01[] = {{0.18, 0.43}, {0.54, 0.35}, {0.92, 0.62}, {0.76, 0.94}, {0.36, 1}, {0.06, 0.89}};
constexpr Stroke k5Style0[] = {{kLines, k5Points00}, {kCurve, k5Points01}};
constexpr PenPoint k5Points10[] = {{0.9, 0.03}, {0.44, 0.01}, {0.2, 0.18},  {0.28, 0.4},
                                   {0.68, 0.5}, {0.9, 0.74},  {0.58, 0.99}, {0.08, 0.93}};
constexpr Stroke k5Style1[] = {{kCurve, k5Points10}};
constexpr PenPoint k5Points20[] = {{0.24, 0.06}, {0.2, 0.44}};
constexpr PenPoint k5Points21[] = {{0.2, 0.44}, {0.56, 0.38}, {0.88, 0.64}, {0.66, 0.96}, {0.1, 0.98}};
constexpr PenPoint k5Points22[] = {{0.24, 0.06}, {0.86, 0}};
constexpr Stroke k5Style2[] = {{kCurve, k5Points20}, {kCurve, k5Points21}, {kLines, k5Points22}};
constexpr Glyph k5[] = {k5Style0, k5Style1, k5Style2};

constexpr PenPoint k6Points00[] = {{0.76, 0.02}, {0.36, 0.2}, {0.08, 0.6},  {0.2, 0.94}, {0.6, 1},
                                   {0.9, 0.78},  {0.7, 0.53}, {0.36, 0.56}, {0.13, 0.76}};
constexpr Stroke k6Style0[] = {{kCurve, k6Points00}};
constexpr PenPoint k6Points10[] = {{0.56, 0},  {0.22, 0.4},  {0.08, 0.72}, {0.34, 1},
                                   {0.8, 0.9}, {0.82, 0.62}, {0.48, 0.54}, {0.15, 0.78}};
constexpr Stroke k6Style1[] = {{kCurve, k6Points10}};
constexpr PenPoint k6Points20[] = {{0.86, 0.12}, {0.6, 0},     {0.24, 0.22}, {0.08, 0.62}, {0.26, 0.96},
                                   {0.64, 0.99}, {0.88, 0.74}, {0.62, 0.5},  {0.26, 0.58}, {0.1, 0.74}};
constexpr Stroke k6Style2[] = {{kCurve, k6Points20}};
constexpr Glyph k6[] = {k6Style0, k6Style1, k6Style2};

constexpr PenPoint k7Points00[] = {{0.05, 0.02}, {0.92, 0.02}, {0.4, 1}};
constexpr Stroke k7Style0[] = {{kLines, k7Points00}};
constexpr PenPoint k7Points10[] = {{0.06, 0.02}, {0.92, 0.02}, {0.44, 1}};
constexpr PenPoint k7Points11[] = {{0.28, 0.52}, {0.84, 0.48}};
constexpr Stroke k7Style1[] = {{kLines, k7Points10}, {kLines, k7Points11}};
constexpr PenPoint k7Points20[] = {{0.08, 0.2}, {0.08, 0.02}, {0.9, 0.02}};
constexpr PenPoint k7Points21[] = {{0.9, 0.02}, {0.6, 0.46}, {0.46, 1}};
constexpr Stroke k7Style2[] = {{kLines, k7Points20}, {kCurve, k7Points21}};
constexpr PenPoint k7Points30[] = {{0.06, 0.08}, {0.5, 0.04}, {0.92, 0.02}};
constexpr PenPoint k7Points31[] = {{0.92, 0.02}, {0.66, 0.36}, {0.52, 0.7}, {0.48, 1}};
constexpr Stroke k7Style3[] = {{kCurve, k7Points30}, {kCurve, k7Points31}};
constexpr Glyph k7[] = {k7Style0, k7Style1, k7Style2, k7Style3};

constexpr PenPoint k8Points00[] = {{0.83, 0.14}, {0.5, 0},     {0.18, 0.2}, {0.5, 0.47}, {0.89, 0.76},
                                   {0.5, 1},     {0.11, 0.76}, {0.5, 0.47}, {0.85, 0.26}};
constexpr Stroke k8Style0[] = {{kLoop, k8Points00}};
constexpr PenPoint k8Points10[] = {{0.5, 0}, {0.78, 0.1}, {0.8, 0.34}, {0.5, 0.47}, {0.21, 0.34}, {0.22, 0.1}};
constexpr PenPoint k8Points11[] = {{0.5, 0.47}, {0.84, 0.59}, {0.88, 0.86}, {0.5, 1}, {0.13, 0.86}, {0.15, 0.59}};
constexpr Stroke k8Style1[] = {{kLoop, k8Points10}, {kLoop, k8Points11}};
constexpr PenPoint k8Points20[] = {{0.84, 0.12}, {0.46, 0.01}, {0.16, 0.2},  {0.4, 0.44},  {0.8, 0.66}, {0.76, 0.94},
                                   {0.4, 1},     {0.14, 0.82}, {0.38, 0.52}, {0.76, 0.32}, {0.84, 0.12}};
constexpr Stroke k8Style2[] = {{kCurve, k8Points20}};
constexpr Glyph k8[] = {k8Style0, k8Style1, k8Style2};

constexpr PenPoint k9Points00[] = {{0.84, 0.28}, {0.6, 0.01}, {0.2, 0.1}, {0.12, 0.38}, {0.44, 0.54}, {0.76, 0.44}};
constexpr PenPoint k9Points01[] = {{0.84, 0.28}, {0.78, 1}};
constexpr Stroke k9Style0[] = {{kLoop, k9Points00}, {kLines, k9Points01}};
constexpr PenPoint k9Points10[] = {{0.86, 0.24}, {0.52, 0},   {0.14, 0.18}, {0.26, 0.5}, {0.68, 0.46},
                                   {0.86, 0.24}, {0.89, 0.6}, {0.72, 0.93}, {0.3, 0.98}};
constexpr Stroke k9Style1[] = {{kCurve, k9Points10}};
constexpr PenPoint k9Points20[] = {{0.82, 0.1}, {0.46, 0.01}, {0.12, 0.24}, {0.26, 0.48}, {0.6, 0.44}, {0.82, 0.1}};
constexpr PenPoint k9Points21[] = {{0.82, 0.1}, {0.76, 0.54}, {0.54, 1}};
constexpr Stroke k9Style2[] = {{kCurve, k9Points20}, {kCurve, k9Points21}};
constexpr Glyph k9[] = {k9Style0, k9Style1, k9Style2};

constexpr std::array<std::span<const Glyph>, 10> kDigits = {k0, k1, k2, k3, k4, k5, k6, k7, k8, k9};

}  // namespace

std::span<const Glyph> GlyphsOf(int digit) { return kDigits.at(static_cast<std::size_t>(digit)); }

}  // namespace tenon::data
