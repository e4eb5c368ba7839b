#include <iostream>

#include "base/json_writer.h"
#include "tenon/formats.h"
#include "tenon/verify.h"
#include "tools/commands.h"
#include "tools/report_json.h"

namespace tenon::tools {

int Fail(const char* command, const Status& status) {
  std::cerr << "tenon " << command << ": " << status.message() << " (" << code_name(status.code()) << ")\n";
  return kFailed;
}

int Convert(const ConvertOptions& o) {
  SaveOptions save_options;
  save_options.onnx_opset = o.onnx_opset;
  save_options.onnx_external_threshold = o.external_threshold;
  if (!o.format.empty()) {
    const std::optional<Format> format = format_from_name(o.format);
    if (!format) {
      std::cerr << "tenon convert: got format \"" << o.format << "\", expected tenon, onnx or saved_model\n";
      return kUsage;
    }
    save_options.format = *format;
  }
  const Result<Module> module = load(o.from);
  if (!module.ok()) return Fail("convert", module.status());
  if (const Result<void> saved = save(*module, o.to, save_options); !saved.ok()) return Fail("convert", saved);
  if (!o.verify) {
    if (o.json) std::cout << "{\"written\":true}\n";
    return kDone;
  }
  const Result<Module> back = load(o.to);
  if (!back.ok()) return Fail("convert", back.status().with_context("reading back what was written"));
  const Result<verify::Report> report = verify::compare(*module, *back, {.inputs = verify::random(o.samples)});
  if (!report.ok()) return Fail("convert", report.status().with_context("verifying what was written"));
  if (o.json)
    std::cout << ReportJson(*report);
  else
    std::cout << *report;
  return report->ok() ? kDone : kDiffers;
}

}  // namespace tenon::tools
