// Loader: owns one version of one model, from a path to a Servable and back to nothing.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "serve/core/servable.h"

namespace tenon::serve {

/// Makes a Servable from the files of one version. Called on a load thread, for several versions at a time.
using ServableCreator = std::function<Result<std::unique_ptr<Servable>>(const ServableId& id, const std::string& path)>;

/// The manager calls, never two at a time: EstimateMemory, then Load (again after a failure), then, once loaded and
/// after the last user is gone, Unload.
class Loader {
 public:
  virtual ~Loader() = default;
  /// Bytes of memory that the version will take when loaded.
  virtual Result<std::int64_t> EstimateMemory() = 0;
  virtual Status Load() = 0;
  virtual void Unload() = 0;
  /// Not null between a successful Load and Unload.
  virtual Servable* servable() = 0;
};

/// Makes the loader of an aspired version.
using LoaderFactory = std::function<std::unique_ptr<Loader>(const ServableId& id, const std::string& path)>;

/// Called by an Unload with what takes the servable away: it must be run once, at once.
using UnloadStep = std::function<void(const ServableId& id, const std::function<void()>& unload)>;

/// A loader whose Load calls `creator`. An exception of the creator is a failed load. The memory estimate is 1.2 times
/// the size of the files below the path.
class CreatorLoader : public Loader {
 public:
  CreatorLoader(ServableId id, std::string path, ServableCreator creator, UnloadStep around_unload = {})
      : id_(std::move(id)),
        path_(std::move(path)),
        creator_(std::move(creator)),
        around_unload_(std::move(around_unload)) {}
  Result<std::int64_t> EstimateMemory() override;
  Status Load() override;
  void Unload() override;
  Servable* servable() override { return servable_.get(); }

 private:
  const ServableId id_;
  const std::string path_;
  const ServableCreator creator_;
  const UnloadStep around_unload_;
  std::unique_ptr<Servable> servable_;
};

LoaderFactory MakeLoaderFactory(ServableCreator creator, UnloadStep around_unload = {});

}  // namespace tenon::serve
