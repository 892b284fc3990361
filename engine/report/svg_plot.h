// A small plotter: line and scatter charts and forest plots as inline SVG. Colours and fonts come
// from the page's style sheet by class, so one drawing serves light, dark and print.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace alm::report {

// Ticks at 1, 2 or 5 times a power of ten inside [low, high], about `wanted` of them (at least
// one).
struct Ticks {
  std::vector<double> at;
  int decimals = 0;
};
Ticks nice_ticks(double low, double high, int wanted);

// A range that holds every value added, widened a little; never empty.
class Range {
 public:
  void add(double value);
  void add(const std::optional<double>& value) {
    if (value) add(*value);
  }
  bool empty() const { return low_ > high_; }
  // With `share` of the width added on both sides; [0, 1] without values, +-half around a single
  // one.
  std::pair<double, double> padded(double share) const;

 private:
  double low_ = 1e300;
  double high_ = -1e300;
};

using Points = std::vector<std::pair<double, double>>;

// Roles have one colour and one mark each in the whole report.
enum class Role { front_door, naive, back_door, truth, muted };
const char* role_class(Role role);
// The mark of a role as a small SVG of its own, for legends in HTML; and its line.
std::string role_swatch(Role role);
enum class Stroke { solid, dashed, dotted };
std::string line_swatch(Role role, Stroke stroke = Stroke::solid);

// A chart with two linear axes, or two of powers of ten. Not given ranges come from the data.
class Chart {
 public:
  // `description` is read aloud by screen readers. Sizes in CSS pixels.
  Chart(double width, double height, std::string description);
  // An axis title stands above the y axis and under the right end of the x axis.
  void x_title(std::string title) { x_title_ = std::move(title); }
  void y_title(std::string title) { y_title_ = std::move(title); }
  void x_range(double low, double high);
  void y_range(double low, double high);
  void include_y(double value) { y_data_.add(value); }
  // Ticks of the x axis by place and name, instead of numbers.
  void x_names(std::vector<std::pair<double, std::string>> names) { x_names_ = std::move(names); }
  // Values and ranges are given as their logarithms to base 10; ticks are whole powers of ten.
  void powers_of_ten() { powers_of_ten_ = true; }
  void line(Points points, Role role, Stroke stroke = Stroke::solid);
  // `labels`: short words beside the dots, or none.
  void dots(Points points, Role role, double radius, std::vector<std::string> labels = {});
  // Marks with a vertical interval.
  void intervals(Points at, const std::vector<std::optional<std::pair<double, double>>>& bounds,
                 Role role);
  // The line y = x over the visible part.
  void diagonal() { diagonal_ = true; }
  // A level line over the whole width.
  void level(double y) { levels_.push_back(y); }
  bool empty() const { return layers_.empty(); }
  std::string svg() const;

 private:
  struct Layer {
    Points points;
    std::vector<std::optional<std::pair<double, double>>> bounds;
    std::vector<std::string> labels;
    Role role = Role::muted;
    double radius = 0;  // 0: a line
    Stroke stroke = Stroke::solid;
  };
  double width_;
  double height_;
  std::string description_;
  std::string x_title_;
  std::string y_title_;
  std::optional<std::pair<double, double>> x_given_;
  std::optional<std::pair<double, double>> y_given_;
  std::vector<std::pair<double, std::string>> x_names_;
  Range x_data_;
  Range y_data_;
  std::vector<Layer> layers_;
  std::vector<double> levels_;
  bool diagonal_ = false;
  bool powers_of_ten_ = false;

  std::string label(double tick, int decimals) const;
  void add(Layer layer);
};

// One row of a forest plot: an estimate with its interval, the naive and the back-door value beside
// it.
struct ForestRow {
  std::string label;  // any text; cut to the space there is
  std::optional<double> value;
  std::optional<std::pair<double, double>> bounds;
  std::optional<double> naive;
  std::optional<double> backdoor;
  bool gap = false;  // only the label is shown: "80 more between"
};
std::string forest_plot(const std::vector<ForestRow>& rows, const std::string& axis_title,
                        const std::string& description);

// Parts of a whole as one horizontal bar; the names and shares stand in the legend beside it.
std::string share_bar(const std::vector<std::pair<std::string, double>>& parts,
                      const std::string& description);

}  // namespace alm::report
