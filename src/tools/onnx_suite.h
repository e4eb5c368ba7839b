// The cases of the ONNX backend suite: finding, running and judging them.
#pragma once
#include <string>
#include <vector>

#include "tenon/status.h"

namespace tenon::tools {

/// A folder of the suite: a model and its data sets, or (the "real" folders) a data.json that names a light model whose
/// inputs are i / n for i < n and whose output lies beside it.
struct SuiteCase {
  std::string name;      // of the folder
  std::string category;  // of the folder above: "node", "simple", …
  std::string model;     // the path of the .onnx file
  std::vector<std::string> data_sets;
  std::string light_output;  // for light models: the expected output's file
  double relative = 1e-3, absolute = 1e-7;
};

/// Every case below `folder`, by path. kInvalidArgument when there is none.
Result<std::vector<SuiteCase>> FindSuiteCases(const std::string& folder);

enum class CaseStatus { kPass, kFail, kUnsupported };
std::string_view CaseStatusName(CaseStatus status);

struct CaseResult {
  CaseStatus status = CaseStatus::kFail;
  std::string why;  // empty for a pass
  std::string op;   // the operator that the case is about; empty for whole models
  double seconds = 0;
};

/// Reads, translates, compiles and runs one case on a backend ("ref", "cpu"), one thread. A case passes when every
/// output of every data set agrees; it is unsupported when the importer or the backend says kUnimplemented. Any thread.
CaseResult RunSuiteCase(const SuiteCase& test, const std::string& backend);

/// Reads and translates the case, writes it at that opset (or at the model's own, when that is newer), reads and
/// translates what was written. It passes when both give the same bits for every data set on the reference backend; it
/// is unsupported when it cannot be read or written.
CaseResult RoundTripSuiteCase(const SuiteCase& test, std::int64_t opset);

}  // namespace tenon::tools
