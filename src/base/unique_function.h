// UniqueFunction: std::function for callables that are called by one owner: moved, never copied.
#pragma once
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tenon::base {

template <class Signature>
class UniqueFunction;

/// What it holds may be move-only; up to kInline bytes are held without an allocation. Calling an empty one is an error
/// of the caller's. As std::move_only_function of C++23.
template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  static constexpr std::size_t kInline = 48;

  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> && std::is_invocable_r_v<R, F&, Args...>)
  UniqueFunction(F&& f) {
    using Held = std::decay_t<F>;
    if constexpr (Fits<Held>()) {
      ::new (static_cast<void*>(place_)) Held(std::forward<F>(f));
      call_ = [](void* at, Args&&... args) -> R { return (*static_cast<Held*>(at))(std::forward<Args>(args)...); };
      move_ = [](void* from, void* to) {
        Held* const held = static_cast<Held*>(from);
        if (to != nullptr) ::new (to) Held(std::move(*held));
        held->~Held();
      };
    } else {
      ::new (static_cast<void*>(place_)) Held*(new Held(std::forward<F>(f)));
      call_ = [](void* at, Args&&... args) -> R { return (**static_cast<Held**>(at))(std::forward<Args>(args)...); };
      move_ = [](void* from, void* to) {
        Held* const held = *static_cast<Held**>(from);
        if (to != nullptr)
          ::new (to) Held*(held);
        else
          delete held;
      };
    }
  }
  UniqueFunction(UniqueFunction&& other) noexcept { Take(other); }
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    if (this != &other) {
      Drop();
      Take(other);
    }
    return *this;
  }
  UniqueFunction(const UniqueFunction&) = delete;
  UniqueFunction& operator=(const UniqueFunction&) = delete;
  ~UniqueFunction() { Drop(); }

  explicit operator bool() const { return call_ != nullptr; }
  // NOLINTNEXTLINE(performance-unnecessary-value-param): they are passed on
  R operator()(Args... args) { return call_(place_, std::forward<Args>(args)...); }

 private:
  template <class Held>
  static constexpr bool Fits() {
    return sizeof(Held) <= kInline && alignof(Held) <= alignof(std::max_align_t) &&
           std::is_nothrow_move_constructible_v<Held>;
  }
  void Take(UniqueFunction& other) {
    if (other.call_ == nullptr) return;
    other.move_(other.place_, place_);
    call_ = std::exchange(other.call_, nullptr);
    move_ = other.move_;
  }
  void Drop() {
    if (call_ != nullptr) move_(place_, nullptr);
    call_ = nullptr;
  }

  R (*call_)(void*, Args&&...) = nullptr;
  void (*move_)(void* from,
                void* to) = nullptr;  // destroys what is at `from`, moved to `to` before unless that is null
  alignas(std::max_align_t) std::byte place_[kInline];
};

}  // namespace tenon::base
