#include <cstdio>
#include <sstream>

#include "base/json_writer.h"
#include "tools/inspect/sheet.h"

namespace tenon::tools {
namespace {

std::string Count(double n) {
  char text[40];
  for (const auto& [unit, name] : {std::pair{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}})
    if (n >= unit) {
      std::snprintf(text, sizeof text, "%.3g%s", n / unit, name);
      return text;
    }
  std::snprintf(text, sizeof text, "%.0f", n);
  return text;
}

void WriteWeights(base::JsonWriter& json, const Row& row) {
  json.Key("weights").Array();
  for (const WeightStats& w : row.weights) {
    json.Object();
    json.Key("name").String(w.name);
    json.Key("type").String(w.type);
    json.Key("elements").Number(w.elements);
    json.Key("min").Number(w.min);
    json.Key("max").Number(w.max);
    json.Key("mean").Number(w.mean);
    json.Key("standard_deviation").Number(w.deviation);
    json.Key("zeros").Number(w.zeros);
    json.End();
  }
  json.End();
}

}  // namespace

std::string SheetText(const Sheet& sheet) {
  std::ostringstream out;
  const auto line = [&](const std::string& key, const std::string& value) {
    out << key << std::string(key.size() < 12 ? 12 - key.size() : 1, ' ') << value << '\n';
  };
  line("format", sheet.format);
  for (const auto& [key, value] : sheet.metadata)
    if (key != "format") line(key, value);
  for (const auto& [domain, version] : sheet.opsets) line("opset", domain + " " + std::to_string(version));
  line("variables", std::to_string(sheet.variables));
  line("parameters", std::to_string(sheet.parameters) + " (" + Count(static_cast<double>(sheet.parameters)) + "), " +
                         std::to_string(sheet.trainable) + " trainable, " + std::to_string(sheet.weight_bytes) +
                         " bytes");
  if (!sheet.source_ops.empty()) {
    out << "operators  ";
    for (const auto& [op, count] : sheet.source_ops) out << ' ' << op << " x" << count;
    out << '\n';
  }
  if (!sheet.unsupported.empty()) {
    out << "unsupported " << sheet.unsupported.size() << (sheet.unsupported.size() == 1 ? " line\n" : " lines\n");
    for (const std::string& text : sheet.unsupported) out << "  " << text << '\n';
  }
  for (const SignatureSheet& s : sheet.signatures) {
    out << "\nsignature   " << s.name << '\n';
    for (const auto& [name, type] : s.inputs) out << "  input     " << name << " : " << type << '\n';
    for (const auto& [name, type] : s.outputs) out << "  output    " << name << " : " << type << '\n';
    out << "  layers    " << s.rows.size() << '\n';
    if (!s.ops.empty()) {
      out << "  ops      ";
      for (const auto& [op, count] : s.ops) out << ' ' << op << " x" << count;
      out << '\n';
    }
    if (sheet.unsupported.empty())
      out << "  flops     " << Count(s.flops) << " at batch " << sheet.batch << "\n  memory    "
          << Count(static_cast<double>(sheet.weight_bytes)) << "B weights, "
          << Count(static_cast<double>(s.peak_activations)) << "B activations at the peak\n";
    if (!s.note.empty()) out << "  note      " << s.note << '\n';
  }
  return std::move(out).str();
}

std::string SheetJson(const Sheet& sheet) {
  base::JsonWriter json({.indent = 2});
  json.Object();
  json.Key("format").String(sheet.format);
  json.Key("variables").Number(sheet.variables);
  json.Key("parameters").Number(sheet.parameters);
  json.Key("trainable_parameters").Number(sheet.trainable);
  json.Key("weight_bytes").Number(sheet.weight_bytes);
  json.Key("batch").Number(sheet.batch);
  json.Key("metadata").Object();
  for (const auto& [key, value] : sheet.metadata) json.Key(key).String(value);
  json.End();
  json.Key("opsets").Object();
  for (const auto& [domain, version] : sheet.opsets) json.Key(domain).Number(version);
  json.End();
  json.Key("operators").Object();
  for (const auto& [op, count] : sheet.source_ops) json.Key(op).Number(count);
  json.End();
  json.Key("unsupported").Array();
  for (const std::string& text : sheet.unsupported) json.String(text);
  json.End();
  json.Key("signatures").Array();
  for (const SignatureSheet& s : sheet.signatures) {
    json.Object();
    json.Key("name").String(s.name);
    for (const auto& [what, list] : {std::pair{"inputs", &s.inputs}, {"outputs", &s.outputs}}) {
      json.Key(what).Array();
      for (const auto& [name, type] : *list) {
        json.Object();
        json.Key("name").String(name);
        json.Key("type").String(type);
        json.End();
      }
      json.End();
    }
    json.Key("ops").Object();
    for (const auto& [op, count] : s.ops) json.Key(op).Number(count);
    json.End();
    json.Key("flops").Number(s.flops);
    json.Key("peak_activation_bytes").Number(s.peak_activations);
    if (!s.note.empty()) json.Key("note").String(s.note);
    json.Key("layers").Array();
    for (const Row& row : s.rows) {
      json.Object();
      json.Key("name").String(row.name);
      if (!row.node.empty()) json.Key("node").String(row.node);
      json.Key("op").String(row.op);
      json.Key("type").String(row.type);
      json.Key("inputs").Array();
      for (const std::size_t i : row.from) json.String(s.rows[i].name);
      json.End();
      json.Key("parameters").Number(row.parameters);
      json.Key("flops").Number(row.flops);
      json.Key("bytes").Number(row.bytes);
      WriteWeights(json, row);
      json.End();
    }
    json.End();
    json.End();
  }
  json.End();
  json.End();
  return std::move(json).Take();
}

}  // namespace tenon::tools
