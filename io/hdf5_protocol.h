// What an Hdf5Child and its helper say to each other. A request is a frame: its length (8 bytes),
// then a letter and what it asks for. An answer is any number of kAlive, then a letter, then a
// frame.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace alm::io {

inline constexpr const char* kHelperArgument = "--hdf5-helper";
inline constexpr char kRequestIndex = 'i';  // + path of a file: its packed FileIndex
inline constexpr char kRequestRows = 'r';   // + packed RowRequest: the bytes of the rows
inline constexpr char kAlive = '.';
inline constexpr char kDone = 'd';
inline constexpr char kUserFault = 'u';     // + message
inline constexpr char kMachineFault = 'm';  // + message

inline std::string frame(const std::string& text) {
  const auto bytes = static_cast<uint64_t>(text.size());
  std::string framed(sizeof bytes, '\0');
  std::memcpy(framed.data(), &bytes, sizeof bytes);
  return framed + text;
}

// Whether main() has called serve_hdf5().
bool helper_available();

}  // namespace alm::io
