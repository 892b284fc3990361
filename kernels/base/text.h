// Text helpers: printf-style formatting into std::string, joining, splitting.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace alm {

// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);

std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);

// 1234567 -> "1,234,567".
std::string with_commas(long long value);

// Bytes, rates and seconds for people: "1.5 MiB", "2.3 M", "1 min 12 s".
std::string human_bytes(double bytes);
std::string human_count(double count);
std::string human_seconds(double seconds);

}  // namespace alm
