// What the text of one field means. Pure functions; false or nullopt when it means nothing of the
// kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace alm::io {

// A finite number, also as float.
std::optional<float> parse_number(std::string_view text);
// A whole number of 64 bits.
std::optional<int64_t> parse_whole(std::string_view text);
// 0 or 1: also no and yes, false and true, in any case.
std::optional<uint8_t> parse_binary(std::string_view text);

enum class TimeUnit { seconds, milliseconds, microseconds };
// Unix milliseconds of a whole number in `unit` (seconds: also with decimals, from 1970 on), or of
// "2024-05-31", "2024-05-31 12:30", "2024-05-31 12:30:00" and "2024-05-31T12:30:00.250Z", UTC
// unless an offset such as "+02:00" follows. What is finer than a millisecond is cut off
// (microseconds: rounded down).
std::optional<int64_t> parse_time(std::string_view text, TimeUnit unit);
// Milliseconds of "30d", "12h", "15m" or "90s", above 0 and at most 100,000 days.
std::optional<int64_t> parse_duration(std::string_view text);

// An id that depends on the text alone, so it is the same in every import: a whole number from 0 on
// written without leading zeros is that number, every other text a hash of its bytes (FNV-1a,
// mixed).
uint64_t label_id(std::string_view text);
// Whether the id is the number itself, so that no other text can have it but by a rare accident.
bool is_number_label(std::string_view text);
// The same for signed columns: whole numbers stand for themselves, hashes are below 2^63.
int64_t signed_label_id(std::string_view text);

}  // namespace alm::io
