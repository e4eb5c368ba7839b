# cmake -DIN=file -DOUT=file.cc -P: the bytes of IN as the string that serve/grpc/descriptors.h declares.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT} "// Made by cmake/embed_bytes.cmake; do not edit.
#include \"serve/grpc/descriptors.h\"

namespace tenon::serve::rpc {
namespace {
constexpr unsigned char kBytes[] = {
${bytes}};
}  // namespace
std::string_view DescriptorSet() { return {reinterpret_cast<const char*>(kBytes), sizeof kBytes}; }
}  // namespace tenon::serve::rpc
")
