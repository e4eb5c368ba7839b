#include "serve/core/loader.h"

#include <malloc.h>

#include <exception>
#include <filesystem>

#include "base/sanitizers.h"

namespace tenon::serve {

Result<std::int64_t> CreatorLoader::EstimateMemory() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (error || !fs::exists(status)) return Status(Code::kNotFound, path_ + ": no such file or folder");
  std::int64_t bytes = 0;
  if (fs::is_regular_file(status)) {
    bytes = static_cast<std::int64_t>(fs::file_size(path_, error));
  } else {
    for (fs::recursive_directory_iterator it(path_, fs::directory_options::skip_permission_denied, error), end;
         !error && it != end; it.increment(error)) {
      std::error_code ignored;
      if (!it->is_regular_file(ignored)) continue;
      const auto size = it->file_size(ignored);
      if (!ignored) bytes += static_cast<std::int64_t>(size);
    }
  }
  if (error) return Status(Code::kUnavailable, path_ + ": cannot be listed: " + error.message());
  return bytes + bytes / 5;
}

Status CreatorLoader::Load() {
  try {
    Result<std::unique_ptr<Servable>> made = creator_(id_, path_);
    if (!made.ok()) return made.status();
    if (*made == nullptr) return Status(Code::kInternal, path_ + ": the creator made no servable");
    servable_ = *std::move(made);
    return {};
  } catch (const Error& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted, path_ + ": no memory to load it");
  } catch (const std::exception& error) {
    return Status(Code::kInternal, path_ + ": " + error.what());
  }
}

void CreatorLoader::Unload() {
  const auto unload = [this] {
    servable_.reset();
#if !defined(TENON_OWN_HEAP)
    ::malloc_trim(0);  // give the pages back to the system: the next version must not find them still taken
#endif
  };
  if (around_unload_)
    around_unload_(id_, unload);
  else
    unload();
}

LoaderFactory MakeLoaderFactory(ServableCreator creator, UnloadStep around_unload) {
  return [creator = std::move(creator), around_unload = std::move(around_unload)](
             const ServableId& id, const std::string& path) -> std::unique_ptr<Loader> {
    return std::make_unique<CreatorLoader>(id, path, creator, around_unload);
  };
}

}  // namespace tenon::serve
