# The descriptors of src/serve/grpc/proto as a source file: protoc writes the set, embed_bytes.cmake turns it into C++.
find_program(PROTOC protoc REQUIRED)
file(GLOB TENON_PROTOS CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/serve/grpc/proto/*.proto)
set(TENON_DESCRIPTORS ${CMAKE_BINARY_DIR}/generated/descriptors.cc)
set(descriptor_set ${CMAKE_BINARY_DIR}/generated/descriptors.bin)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
add_custom_command(
  OUTPUT ${TENON_DESCRIPTORS}
  COMMAND ${PROTOC} --proto_path=${CMAKE_SOURCE_DIR}/src/serve/grpc/proto --include_imports
          --descriptor_set_out=${descriptor_set} ${TENON_PROTOS}
  COMMAND ${CMAKE_COMMAND} -DIN=${descriptor_set} -DOUT=${TENON_DESCRIPTORS} -P ${CMAKE_SOURCE_DIR}/cmake/embed_bytes.cmake
  DEPENDS ${TENON_PROTOS} ${CMAKE_SOURCE_DIR}/cmake/embed_bytes.cmake
  COMMENT "Descriptors of the gRPC services"
  VERBATIM)
