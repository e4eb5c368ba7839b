// Who is at the other end of a socket.
#pragma once
#include <string>

namespace tenon::serve {

/// The address as text, without its port; empty when there is none (a unix socket) or it is not known any more.
std::string PeerOf(int fd);

}  // namespace tenon::serve
