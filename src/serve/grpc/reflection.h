// grpc.reflection v1 and v1alpha: the descriptors of our own .proto files (src/serve/grpc/proto).
//
//   ServerReflectionRequest   host 1; one of file_by_filename 3, file_containing_symbol 4, file_containing_extension 5
//                             {containing_type 1, extension_number 2}, all_extension_numbers_of_type 6, list_services 7
//   ServerReflectionResponse  valid_host 1, original_request 2; one of file_descriptor_response 4
//                             {file_descriptor_proto 1}, all_extension_numbers_response 5 {base_type_name 1},
//                             list_services_response 6 {service 1 {name 1}}, error_response 7 {error_code 1,
//                             error_message 2}
//   FileDescriptorSet         file 1
//   FileDescriptorProto       name 1, package 2, dependency 3, message_type 4, enum_type 5, service 6
//   DescriptorProto           name 1, field 2, nested_type 3, enum_type 4; the others have name 1; a service's method
//   is 2
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/status.h"

namespace tenon::serve::rpc {

/// Immutable; any thread.
class Reflection {
 public:
  /// Of a FileDescriptorSet, which must live as long.
  static Result<Reflection> Make(std::string_view descriptor_set);
  /// Of the set built into the library. `with_health`: grpc.health.v1.Health is among the listed services.
  static const Reflection& Ours();

  /// The response to one request of the stream. kInvalidArgument for a malformed one.
  Result<std::string> Answer(std::string_view request, bool with_health) const;
  const std::vector<std::string>& services() const { return services_; }

 private:
  struct File {
    std::string_view bytes;
    std::vector<std::string> dependencies;
  };
  Status AddFile(std::string_view bytes);
  void AddWithDependencies(const std::string& name, std::vector<std::string>& files) const;

  std::map<std::string, File, std::less<>> files_;
  std::map<std::string, std::string, std::less<>> file_of_;  // full name of a message, enum, service or method
  std::vector<std::string> services_;
};

}  // namespace tenon::serve::rpc
