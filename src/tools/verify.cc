#include "tenon/verify.h"

#include <iostream>

#include "base/json_writer.h"
#include "tenon/formats.h"
#include "tensor/npz.h"
#include "tools/commands.h"
#include "tools/report_json.h"

namespace tenon::tools {

std::string ReportJson(const verify::Report& report) {
  base::JsonWriter json({.indent = 2});
  const auto differences = [&](const std::vector<verify::OutputDifference>& list) {
    json.Array();
    for (const verify::OutputDifference& d : list) {
      json.Object();
      json.Key("name").String(d.name);
      json.Key("max_abs").Number(d.max_abs);
      json.Key("max_rel").Number(d.max_rel);
      json.Key("max_ulp").Number(d.max_ulp);
      json.Key("cosine").Number(d.cosine);
      json.Key("float64_abs").Number(d.oracle_abs);
      json.Key("budget").Number(d.budget);
      json.Key("verdict").String(verify::verdict_name(d.verdict));
      json.End();
    }
    json.End();
  };
  json.Object();
  json.Key("verdict").String(verify::verdict_name(report.verdict()));
  json.Key("ok").Bool(report.ok());
  json.Key("samples").Number(report.samples);
  json.Key("outputs");
  differences(report.outputs);
  json.Key("nodes");
  differences(report.nodes);
  json.Key("first_divergence").String(report.first.node);
  json.End();
  return std::move(json).Take();
}

int Verify(const VerifyOptions& o) {
  const Result<Module> expected = load(o.expected);
  if (!expected.ok()) return Fail("verify", expected.status());
  verify::CompareOptions options{
      .inputs = verify::random(o.samples, o.seed), .layers = o.layers, .signature = o.signature, .backend = o.backend};
  if (!o.inputs.empty()) {
    Result<std::map<std::string, Literal>> values = npy::ReadNpz(o.inputs);
    if (!values.ok()) return Fail("verify", values.status());
    options.inputs.values = *std::move(values);
  }
  Result<verify::Report> report =
      Status(Code::kInvalidArgument, "nothing to compare with: give a second model, or --inputs and --outputs");
  if (!o.got.empty()) {
    const Result<Module> got = load(o.got);
    if (!got.ok()) return Fail("verify", got.status());
    report = verify::compare(*expected, *got, options);
  } else if (!o.outputs.empty() && !o.inputs.empty()) {
    const Result<std::map<std::string, Literal>> recorded = npy::ReadNpz(o.outputs);
    if (!recorded.ok()) return Fail("verify", recorded.status());
    report = verify::compare(*expected, options.inputs.values, *recorded, options);
  }
  if (!report.ok()) return Fail("verify", report.status());
  if (o.json)
    std::cout << ReportJson(*report);
  else
    std::cout << *report;
  return report->ok() ? kDone : kDiffers;
}

}  // namespace tenon::tools
