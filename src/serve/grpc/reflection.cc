#include "serve/grpc/reflection.h"

#include <algorithm>

#include "base/status_macros.h"
#include "formats/proto_wire/wire_reader.h"
#include "formats/proto_wire/wire_writer.h"
#include "serve/grpc/descriptors.h"

namespace tenon::serve::rpc {
namespace {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;

constexpr std::string_view kHealth = "grpc.health.v1.Health";

/// Adds the full names of a message and what stands in it.
Status AddNames(std::string_view bytes, const Place& place, const std::string& scope, std::uint32_t inner_message,
                std::uint32_t inner_other, std::vector<std::string>& names) {
  TENON_RETURN_IF_ERROR(place.CheckDepth());
  std::string name;
  Reader reader(bytes, place);
  while (reader.Next())
    if (reader.number() == 1) reader.Get(&name);
  TENON_RETURN_IF_ERROR(reader.status());
  const std::string full = scope.empty() ? name : scope + "." + name;
  names.push_back(full);
  Reader again(bytes, place);
  while (again.Next()) {
    if (inner_message != 0 && again.number() == inner_message)
      TENON_RETURN_IF_ERROR(AddNames(again.bytes(), Place(place, "nested_type"), full, 3, 4, names));
    if (inner_other != 0 && again.number() == inner_other)
      TENON_RETURN_IF_ERROR(AddNames(again.bytes(), Place(place, "nested"), full, 0, 0, names));
  }
  return again.status();
}

}  // namespace

Status Reflection::AddFile(std::string_view bytes) {
  const Place place("FileDescriptorProto", bytes);
  File file{bytes, {}};
  std::string name, package;
  Reader reader(bytes, place);
  while (reader.Next()) {
    if (reader.number() == 1) reader.Get(&name);
    if (reader.number() == 2) reader.Get(&package);
    if (reader.number() == 3) reader.Append(&file.dependencies);
  }
  TENON_RETURN_IF_ERROR(reader.status());
  Reader again(bytes, place);
  while (again.Next()) {
    const std::uint32_t number = again.number();
    if (number < 4 || number > 6) continue;
    std::vector<std::string> names;
    TENON_RETURN_IF_ERROR(AddNames(again.bytes(), Place(place, "type"), package, number == 4 ? 3 : 0,
                                   number == 4   ? 4
                                   : number == 6 ? 2
                                                 : 0,
                                   names));
    if (number == 6) services_.push_back(names[0]);
    for (std::string& full : names) file_of_.emplace(std::move(full), name);
  }
  TENON_RETURN_IF_ERROR(again.status());
  files_.emplace(name, std::move(file));
  return {};
}

Result<Reflection> Reflection::Make(std::string_view descriptor_set) {
  Reflection out;
  const Place place("FileDescriptorSet", descriptor_set);
  Reader reader(descriptor_set, place);
  while (reader.Next())
    if (reader.number() == 1) TENON_RETURN_IF_ERROR(out.AddFile(reader.bytes()));
  TENON_RETURN_IF_ERROR(reader.status());
  std::ranges::sort(out.services_);
  return out;
}

const Reflection& Reflection::Ours() {
  static const Reflection ours = Make(DescriptorSet()).value();
  return ours;
}

void Reflection::AddWithDependencies(const std::string& name, std::vector<std::string>& files) const {
  if (std::ranges::find(files, name) != files.end()) return;
  const auto file = files_.find(name);
  if (file == files_.end()) return;
  files.push_back(name);
  for (const std::string& dependency : file->second.dependencies) AddWithDependencies(dependency, files);
}

Result<std::string> Reflection::Answer(std::string_view request, bool with_health) const {
  const Place place("ServerReflectionRequest", request);
  std::string host;
  std::uint32_t kind = 0;
  std::string text;
  Reader reader(request, place);
  while (reader.Next()) {
    const std::uint32_t number = reader.number();
    if (number == 1) reader.Get(&host);
    if (number < 3 || number > 7) continue;
    kind = number;
    if (number == 5)
      (void)reader.bytes();
    else
      reader.Get(&text);
  }
  TENON_RETURN_IF_ERROR(reader.status());
  Writer writer;
  writer.Text(1, host);
  writer.Bytes(2, request);
  const auto error = [&](Code code, std::string_view message) {
    writer.Message(7, [&] {
      writer.Varint(1, code);
      writer.Text(2, message);
    });
  };
  if (kind == 3 || kind == 4) {
    std::string name = text;
    if (kind == 4) {
      // A field or an enumerator is found by what holds it.
      auto found = file_of_.find(text);
      for (std::string part = text; found == file_of_.end() && part.find('.') != std::string::npos;) {
        part.resize(part.rfind('.'));
        found = file_of_.find(part);
      }
      name = found == file_of_.end() ? "" : found->second;
    }
    std::vector<std::string> files;
    AddWithDependencies(name, files);
    if (files.empty())
      error(Code::kNotFound, kind == 3 ? "File not found." : "Symbol not found.");
    else
      writer.Message(4, [&] {
        for (const std::string& file : files) writer.Bytes(1, files_.find(file)->second.bytes);
      });
  } else if (kind == 5) {
    error(Code::kNotFound, "Extension not found.");
  } else if (kind == 6) {
    if (file_of_.contains(text))
      writer.Message(5, [&] { writer.Text(1, text); });
    else
      error(Code::kNotFound, "Type not found.");
  } else if (kind == 7) {
    writer.Message(6, [&] {
      for (const std::string& service : services_)
        if (with_health || service != kHealth) writer.Message(1, [&] { writer.Text(1, service); });
    });
  } else {
    error(Code::kInvalidArgument, "ServerReflectionRequest: no request is set in it");
  }
  return std::move(writer).Take();
}

}  // namespace tenon::serve::rpc
