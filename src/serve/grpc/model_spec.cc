#include "serve/grpc/model_spec.h"

#include "base/status_macros.h"

namespace tenon::serve::rpc {

using proto_wire::Place;
using proto_wire::Reader;
using proto_wire::Writer;

Status ParseModelSpec(std::string_view bytes, const Place& place, ModelSpec* spec) {
  Reader reader(bytes, place);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.Get(&spec->name);
        break;
      case 2: {
        std::int64_t version = 0;
        Reader inner(reader.bytes(), place);
        while (inner.Next())
          if (inner.number() == 1) inner.Get(&version);
        TENON_RETURN_IF_ERROR(inner.status());
        spec->version = version;
        spec->label.reset();
        break;
      }
      case 3:
        reader.Get(&spec->signature_name);
        break;
      case 4:
        spec->label.emplace();
        reader.Get(&*spec->label);
        spec->version.reset();
        break;
      default:
        break;
    }
  }
  return reader.status();
}

Status ParseModelSpec(Reader& field, const Place& place, std::optional<ModelSpec>* spec) {
  if (!*spec) spec->emplace();
  return ParseModelSpec(field.bytes(), Place(place, "model_spec"), &**spec);
}

void WriteModelSpec(Writer& writer, std::uint32_t field, std::string_view name, std::int64_t version,
                    std::string_view signature_name) {
  writer.Message(field, [&] {
    writer.Text(1, name);
    if (version >= 0)
      writer.Message(2, [&] {
        if (version != 0) writer.Varint(1, version);
      });
    writer.Text(3, signature_name);
  });
}

Result<ServableHandle> FindServable(const Manager& manager, const std::optional<ModelSpec>& spec) {
  if (!spec) return Status(Code::kInvalidArgument, "Missing ModelSpec");
  if (spec->name.empty()) return Status(Code::kInvalidArgument, "ModelSpec has no name specified.");
  if (spec->version) return manager.serving().Specific(spec->name, *spec->version);
  if (spec->label) return manager.serving().Labelled(spec->name, *spec->label);
  return manager.serving().Latest(spec->name);
}

ServableHandle PeekServable(const Manager& manager, std::string_view request, std::uint32_t number) {
  const Place place("", request);
  Reader reader(request, place);
  while (reader.Next()) {
    if (reader.number() != number) continue;
    std::optional<ModelSpec> spec(std::in_place);
    if (!ParseModelSpec(reader.bytes(), place, &*spec).ok()) return {};
    Result<ServableHandle> handle = FindServable(manager, spec);
    return handle.ok() ? *std::move(handle) : ServableHandle();
  }
  return {};
}

}  // namespace tenon::serve::rpc
