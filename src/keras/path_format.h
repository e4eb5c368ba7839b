// File names of checkpoints, and how a module is saved.
#pragma once
#include <string>

#include "tenon/keras/callbacks.h"
#include "tenon/module.h"

namespace tenon::keras {

/// {epoch}, {epoch:02d}, {batch}, {val_loss:.4f}: a name of `logs` with an optional printf-like format. Throws
/// kNotFound for a name that is not there, kInvalidArgument for a format it cannot read.
std::string FormatPath(const std::string& pattern, int epoch, int batch, const Logs& logs);

/// Saves in the format of the name; defined where the formats are known (the composition root). Throws.
void SaveModule(const Module& module, const std::string& path);

}  // namespace tenon::keras
