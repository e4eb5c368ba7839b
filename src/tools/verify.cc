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
      if (d.ties > 0) json.Key("ties").Number(d.ties);
      if (!d.op.empty()) json.Key("op").String(d.op);
      if (!d.matched.empty()) json.Key("matched").String(d.matched);
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
  json.Key("values").Number(report.values);
  json.Key("first_divergence").String(report.first.node);
  if (!report.first.node.empty()) {
    const verify::Divergence& first = report.first;
    json.Key("first").Object();
    json.Key("value").String(first.node);
    json.Key("node").String(first.layer);
    json.Key("op").String(first.op);
    json.Key("value_of_other").String(first.got_node);
    json.Key("got").Number(first.got);
    json.Key("expected").Number(first.expected);
    json.Key("max_abs").Number(first.difference.max_abs);
    json.Key("max_rel").Number(first.difference.max_rel);
    json.Key("max_ulp").Number(first.difference.max_ulp);
    json.Key("cosine").Number(first.difference.cosine);
    json.Key("budget").Number(first.budget);
    json.Key("reasons").Array();
    for (const std::string& reason : first.reasons) json.String(reason);
    json.End();
    json.End();
  }
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
  const bool recorded_second = o.got.ends_with(".npz");
  if (!o.got.empty() && !recorded_second) {
    const Result<Module> got = load(o.got);
    if (!got.ok()) return Fail("verify", got.status());
    report = verify::compare(*expected, *got, options);
  } else if (recorded_second || (!o.outputs.empty() && !o.inputs.empty())) {
    const Result<std::map<std::string, Literal>> recorded = npy::ReadNpz(recorded_second ? o.got : o.outputs);
    if (!recorded.ok()) return Fail("verify", recorded.status());
    report = verify::compare(*expected, o.inputs.empty() ? *recorded : options.inputs.values, *recorded, options);
  }
  if (!report.ok()) return Fail("verify", report.status());
  if (o.json)
    std::cout << ReportJson(*report);
  else
    std::cout << *report;
  return report->ok() ? kDone : kDiffers;
}

}  // namespace tenon::tools
