// Training curves as a PNG.
#pragma once
#include <tenon/keras.h>

#include <string>

namespace digits {

/// Two panels: loss and val_loss, accuracy and val_accuracy, by epoch. False when the file cannot be written.
bool PlotHistory(const tenon::keras::History& history, const std::string& path);

}  // namespace digits
