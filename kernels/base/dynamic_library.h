// A library that is loaded when it is wanted, so that the program starts where there is none.
#pragma once

#include <dlfcn.h>

#include <string>

namespace alm {

class DynamicLibrary {
 public:
  // Loads it for as long as the process lives. `title` is what messages call it ("NCCL"), `file`
  // what the loader looks for ("libnccl.so.2").
  DynamicLibrary(std::string title, const std::string& file)
      : title_(std::move(title)), handle_(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ != nullptr) return;
    const char* const why = ::dlerror();
    obstacle_ = title_ + " cannot be loaded: " + (why != nullptr ? why : file.c_str()) +
                "; install it, or name its folder in LD_LIBRARY_PATH";
  }

  // Why it cannot be used, a part of a sentence; empty: it can.
  const std::string& obstacle() const { return obstacle_; }

  // What cannot be done without: where it is missing, `function` is null and that is an obstacle.
  template <class Function>
  void find(const char* name, Function*& function) {
    find_if_any(name, function);
    if (function == nullptr && obstacle_.empty()) {
      obstacle_ = title_ + " is too old: it has no " + name;
    }
  }
  // What other versions may lack: null there.
  template <class Function>
  void find_if_any(const char* name, Function*& function) const {
    function = handle_ != nullptr ? reinterpret_cast<Function*>(::dlsym(handle_, name)) : nullptr;
  }

  // For a list of versions: that of the headers, and that which the library says it has (looked at
  // where it is loaded), or in words that it is not found or cannot be used.
  std::string versions(const std::string& built, const std::string& found) const {
    return "built with " + built + ", " +
           (handle_ == nullptr ? "not found (" + obstacle_ + ")"
                               : "found " + found + (obstacle_.empty() ? "" : ", " + obstacle_));
  }

 private:
  std::string title_;
  void* handle_;
  std::string obstacle_;
};

}  // namespace alm
