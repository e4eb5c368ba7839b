// The report of a run: one HTML file that opens offline.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace digits {

struct Report {
  std::string title, summary, verification, plot_path;
  std::vector<std::pair<std::string, std::string>> facts;  // a two-column table
  struct Prediction {
    std::vector<float> pixels;  // 28 x 28, from 0 to 1
    int label = 0, predicted = 0;
    double probability = 0;
  };
  std::vector<Prediction> predictions;
};
/// False when the file cannot be written. The plot is embedded.
bool WriteReport(const Report& report, const std::string& path);

}  // namespace digits
