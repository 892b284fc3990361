#include "engine/estimate/examples.h"

#include <algorithm>
#include <string>

namespace alm {

void Examples::merge(Examples&& other) {
  for (io::Json& one : other.found_) found_.push_back(std::move(one));
  sort();
}

io::Json Examples::reduce(Communicator& world) {
  sort();
  const std::vector<std::string> texts =
      world.all_gather_strings(io::json_text(found_), "example journeys");
  found_.clear();
  for (const std::string& text : texts) {
    for (io::Json& one : io::Json::parse(text)) found_.push_back(std::move(one));
  }
  sort();
  if (std::ssize(found_) > kExamples) found_.resize(kExamples);
  return found_;
}

void Examples::sort() {
  std::sort(found_.begin(), found_.end(), [](const io::Json& left, const io::Json& right) {
    return left.at("row").get<int64_t>() < right.at("row").get<int64_t>();
  });
}

}  // namespace alm
