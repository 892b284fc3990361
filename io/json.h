// JSON, by nlohmann::json. The only file that names the library. Objects keep the order of
// insertion.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

namespace alm::io {

using Json = nlohmann::ordered_json;

// Parses a file; UserError naming it when it cannot be read or parsed.
Json read_json(const std::string& path);
// Writes text via a temporary file, fsync and rename: a reader sees the old file or the new one.
void write_text_atomically(const std::string& path, const std::string& text);
void write_json_atomically(const std::string& path, const Json& value);
// The parts of it: a file written and fsynced under its own name; a directory's entries made
// durable. MachineError naming the path.
void write_file_synced(const std::string& path, std::span<const std::byte> bytes);
void sync_directory(const std::string& path);
// JSON as text, on one line or indented. Strings of foreign logs and paths may hold bytes that are
// not UTF-8: shown as U+FFFD, never an exception.
std::string json_text(const Json& value, int indent = -1);
// The same of one text.
std::string valid_utf8(const std::string& text);
// The same with a question mark for every control character: text of strangers, fit for a message.
std::string one_line(const std::string& text);
// A number, or null when it is NaN or infinite.
Json number(double value);

}  // namespace alm::io
