// The FileDescriptorSet of src/serve/grpc/proto, made by protoc while building.
#pragma once
#include <string_view>

namespace tenon::serve::rpc {
std::string_view DescriptorSet();
}  // namespace tenon::serve::rpc
