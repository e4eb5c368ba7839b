// From the files of a version to a Servable: load, compile, warm up.
#pragma once
#include <memory>
#include <string>

#include "serve/core/loader.h"
#include "tenon/module.h"

namespace tenon::serve {

struct ModuleServableOptions {
  int threads = 1;           // of one run; requests run beside each other
  std::string backend = {};  // as in CompileOptions
};

/// The file or folder below a version's folder that load() is to take: the folder itself when it is a SavedModel, else
/// the one file of a known kind in it (model.* before others). kNotFound says what was looked for, kFailedPrecondition
/// names the files between which there is no choice. A path that is a file is taken as it is.
Result<std::string> FindModelFile(const std::string& version_path);

/// Compiles every signature. A module without "serving_default" and with one function gets it under that name as well.
/// Signatures that keep no state have run once with zeros when this returns, so that the first request finds its plans.
Result<std::unique_ptr<Servable>> MakeModuleServable(const Module& module, const ModuleServableOptions& options);

/// FindModelFile, load and MakeModuleServable.
ServableCreator MakeModuleServableCreator(ModuleServableOptions options);

}  // namespace tenon::serve
