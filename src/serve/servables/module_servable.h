// From the files of a version to a Servable: load, compile, warm up.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "serve/core/loader.h"
#include "tenon/module.h"

namespace tenon::serve {

struct ModuleServableOptions {
  int threads = 1;                     // of one run; requests run beside each other
  std::string backend = {};            // as in CompileOptions
  std::vector<std::string> tags = {};  // of a SavedModel's meta graph; empty: "serve", or the only one
};

/// The file or folder below a version's folder that load() is to take: the folder itself when it is a SavedModel, else
/// the one file of a known kind in it (model.* before others). kNotFound says what was looked for, kFailedPrecondition
/// names the files between which there is no choice. A path that is a file is taken as it is.
Result<std::string> FindModelFile(const std::string& version_path);

/// The same model once more, with the inputs of one signature at these ranks and all their dims free.
using Relax = std::function<Result<Module>(const std::string& signature, const std::map<std::string, int>& ranks)>;

/// Compiles every signature. A module without "serving_default" and with one function gets it under that name as well.
/// Signatures that keep no state have run once with zeros when this returns, so that the first request finds its plans.
/// With `relax`, inputs whose shape is not the declared one are not refused: such a call runs on what `relax` gives for
/// their ranks, compiled at the first such call (at most 8 of them), as TensorFlow runs a graph on whatever it is fed.
/// Models that keep state are never relaxed.
Result<std::unique_ptr<Servable>> MakeModuleServable(const Module& module, const ModuleServableOptions& options,
                                                     Relax relax = nullptr);

/// FindModelFile, load and MakeModuleServable.
ServableCreator MakeModuleServableCreator(ModuleServableOptions options);

}  // namespace tenon::serve
