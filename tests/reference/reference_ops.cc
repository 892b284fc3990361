#include "tests/reference/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace alm::reference {
namespace {

constexpr double kMissing = 255;
constexpr double kFloor = 1e-7f;  // kOutcomeFloor, a float
constexpr double kClamp = 8;      // kPoolClamp

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}
double cross_entropy(double target, double logit) {
  return target * softplus(-logit) + (1 - target) * softplus(logit);
}

void dense_features(Arguments& a) {
  Array &x = a["x"], &out = a["out"];
  std::fill(out.values.begin(), out.values.end(), 0.0);
  for (int64_t i = 0; i < x.rows; ++i) {
    for (int64_t f = 0; f < x.cols; ++f) {
      const bool missing = std::isnan(x(i, f));
      const int64_t slot = a.index("missing_slot", f);
      if (!missing) out(i, f) = (x(i, f) - a["mean"](f)) * a["inverse_sd"](f);
      if (slot >= 0) out(i, x.cols + slot) = missing ? 1 : 0;
    }
  }
}

void gather_rows(Arguments& a) {
  Array& out = a["out"];
  for (int64_t i = 0; i < out.rows; ++i) {
    for (int64_t c = 0; c < out.cols; ++c) out(i, c) = a["table"](a.index("rows", i), c);
  }
}

void scatter_rows(Arguments& a) {
  Array& d_out = a["d_out"];
  for (int64_t i = 0; i < d_out.rows; ++i) {
    for (int64_t c = 0; c < d_out.cols; ++c) {
      a["gradient"](a.index("rows", i), c) += d_out(i, c);
    }
  }
}

void linear_forward(Arguments& a) {
  Array &x = a["x"], &w = a["w"], &y = a["y"];
  for (int64_t r = 0; r < y.rows; ++r) {
    for (int64_t b = 0; b < y.cols; ++b) {
      double z = a.scalar("accumulate") != 0 ? y(r, b) : 0;
      if (a.has("addend")) z += a["addend"](r, b);
      if (a.has("bias")) z += a["bias"](b);
      for (int64_t c = 0; c < x.cols; ++c) z += x(r, c) * w(c, b);
      if (a.has("before_relu")) a["before_relu"](r, b) = z;
      y(r, b) = a.scalar("relu") != 0 ? std::max(z, 0.0) : z;
    }
  }
}

void linear_backward(Arguments& a) {
  Array &x = a["x"], &w = a["w"], &dz = a["d_y"];
  for (int64_t r = 0; r < dz.rows; ++r) {
    for (int64_t b = 0; b < dz.cols; ++b) {
      if (a.scalar("relu") != 0 && !(a["y"](r, b) > 0)) dz(r, b) = 0;
      if (a.has("d_bias")) a["d_bias"](b) += dz(r, b);
    }
  }
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < x.cols; ++c) {
      double d_x = 0;
      for (int64_t b = 0; b < w.cols; ++b) {
        d_x += dz(r, b) * w(c, b);
        if (a.has("d_w")) a["d_w"](c, b) += x(r, c) * dz(r, b);
      }
      if (!a.has("d_x")) continue;
      const double before = a.scalar("accumulate_dx") != 0 ? a["d_x"](r, c) : 0;
      const bool passes = a.scalar("mask_dx") == 0 || x(r, c) > 0;
      a["d_x"](r, c) = before + (passes ? a.scalar("alpha") * d_x : 0);
    }
  }
}

void join_context_forward(Arguments& a) {
  Array &y = a["y"], &context = a["context"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      for (int64_t c = 0; c < y.cols; ++c) y(j, c) = std::max(y(j, c) + context(i, c), 0.0);
    }
  }
}

void join_context_backward(Arguments& a) {
  Array &y = a["y"], &d_y = a["d_y"], &d_context = a["d_context"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t c = 0; c < y.cols; ++c) {
      d_context(i, c) = 0;
      for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
        if (!(y(j, c) > 0)) d_y(j, c) = 0;
        d_context(i, c) += d_y(j, c);
      }
    }
  }
}

// Calls use(i, j, head, keys): touch j of journey i and the rows it may attend, -1 the start token.
void for_each_query(
    Arguments& a,
    const std::function<void(int64_t j, int64_t head, std::vector<int64_t> keys)>& use) {
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      std::vector<int64_t> keys = {-1};
      for (int64_t l = a.begin(i); l <= j; ++l) keys.push_back(l);
      for (int64_t head = 0; head < static_cast<int64_t>(a.scalar("heads")); ++head) {
        use(j, head, keys);
      }
    }
  }
}

// Component c (within all heads) of the key or the value of row l.
double& key(Arguments& a, int64_t l, int64_t c, const std::string& of = "") {
  const int64_t width = a["start"].cols;
  return l < 0 ? a[of + "start"](0, c) : a[of + "qkv"](l, width + c);
}
double& value(Arguments& a, int64_t l, int64_t c, const std::string& of = "") {
  const int64_t width = a["start"].cols;
  return l < 0 ? a[of + "start"](1, c) : a[of + "qkv"](l, 2 * width + c);
}

double score(Arguments& a, int64_t j, int64_t l, int64_t head) {
  const int64_t d = a["start"].cols / static_cast<int64_t>(a.scalar("heads"));
  double product = 0;
  for (int64_t c = head * d; c < (head + 1) * d; ++c) product += a["qkv"](j, c) * key(a, l, c);
  return product / std::sqrt(static_cast<double>(d));
}

// Softmax of the scores of query j over its keys; log_sum is the logarithm of the denominator.
std::vector<double> attention_weights(Arguments& a, int64_t j, int64_t head,
                                      const std::vector<int64_t>& keys, double* log_sum = nullptr) {
  std::vector<double> weights;
  double denominator = 0;
  for (const int64_t l : keys) {
    weights.push_back(std::exp(score(a, j, l, head)));
    denominator += weights.back();
  }
  for (double& weight : weights) weight /= denominator;
  if (log_sum != nullptr) *log_sum = std::log(denominator);
  return weights;
}

void attention_forward(Arguments& a) {
  const int64_t d = a["start"].cols / static_cast<int64_t>(a.scalar("heads"));
  for_each_query(a, [&](int64_t j, int64_t head, const std::vector<int64_t>& keys) {
    const std::vector<double> weights = attention_weights(a, j, head, keys, &a["log_sum"](j, head));
    for (int64_t c = head * d; c < (head + 1) * d; ++c) {
      a["out"](j, c) = 0;
      for (size_t s = 0; s < keys.size(); ++s) a["out"](j, c) += weights[s] * value(a, keys[s], c);
    }
  });
}

void attention_backward(Arguments& a) {
  const int64_t d = a["start"].cols / static_cast<int64_t>(a.scalar("heads"));
  std::fill(a["d_qkv"].values.begin(), a["d_qkv"].values.end(), 0.0);
  for_each_query(a, [&](int64_t j, int64_t head, const std::vector<int64_t>& keys) {
    const std::vector<double> weight = attention_weights(a, j, head, keys);
    std::vector<double> slope(keys.size());  // of the loss in each weight
    double mean_slope = 0;
    for (size_t s = 0; s < keys.size(); ++s) {
      for (int64_t c = head * d; c < (head + 1) * d; ++c) {
        slope[s] += a["d_out"](j, c) * value(a, keys[s], c);
        value(a, keys[s], c, "d_") += weight[s] * a["d_out"](j, c);
      }
      mean_slope += weight[s] * slope[s];
    }
    for (size_t s = 0; s < keys.size(); ++s) {
      const double d_score =
          weight[s] * (slope[s] - mean_slope) / std::sqrt(static_cast<double>(d));
      for (int64_t c = head * d; c < (head + 1) * d; ++c) {
        a["d_qkv"](j, c) += d_score * key(a, keys[s], c);
        key(a, keys[s], c, "d_") += d_score * a["qkv"](j, c);
      }
    }
  });
}

double raw_pool_score(Arguments& a, int64_t j) {
  double product = 0;
  for (int64_t c = 0; c < a["x"].cols; ++c) product += a["x"](j, c) * a["w"](c);
  return product;
}

void pool_forward(Arguments& a) {
  Array &x = a["x"], &alpha = a["alpha"], &out = a["out"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    double denominator = 0;
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      alpha(j) = std::exp(std::clamp(raw_pool_score(a, j), -kClamp, kClamp));
      denominator += alpha(j);
    }
    for (int64_t c = 0; c < x.cols; ++c) out(i, c) = 0;
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      alpha(j) /= denominator;
      for (int64_t c = 0; c < x.cols; ++c) out(i, c) += alpha(j) * x(j, c);
    }
    out(i, x.cols) = std::log(1.0 + static_cast<double>(a.begin(i + 1) - a.begin(i)));
  }
}

void pool_backward(Arguments& a) {
  Array &x = a["x"], &alpha = a["alpha"], &d_out = a["d_out"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    double mean_slope = 0;
    std::vector<double> slope;
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      slope.push_back(0);
      for (int64_t c = 0; c < x.cols; ++c) slope.back() += x(j, c) * d_out(i, c);
      mean_slope += alpha(j) * slope.back();
    }
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const bool clamped = std::fabs(raw_pool_score(a, j)) > kClamp;
      const double d_score =
          clamped ? 0 : alpha(j) * (slope[static_cast<size_t>(j - a.begin(i))] - mean_slope);
      for (int64_t c = 0; c < x.cols; ++c) {
        a["d_x"](j, c) += alpha(j) * d_out(i, c) + d_score * a["w"](c);
        if (a.scalar("mask_dx") != 0 && !(x(j, c) > 0)) a["d_x"](j, c) = 0;
        a["d_w"](c) += d_score * x(j, c);
      }
    }
  }
}

void weighted_sum_forward(Arguments& a) {
  Array &x = a["x"], &out = a["out"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t c = 0; c < x.cols; ++c) {
      out(i, c) = 0;
      for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) out(i, c) += a["weight"](j) * x(j, c);
    }
  }
}

void weighted_sum_backward(Arguments& a) {
  Array &x = a["x"], &d_out = a["d_out"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      for (int64_t c = 0; c < x.cols; ++c) {
        a["d_x"](j, c) = a["weight"](j) * d_out(i, c);
        a["d_weight"](j) += x(j, c) * d_out(i, c);
      }
    }
  }
}

void bilinear_forward(Arguments& a) {
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const int64_t k = a.index("cluster", j);
      a["logit"](j) += a["bias"](k);
      for (int64_t c = 0; c < a["v"].cols; ++c) a["logit"](j) += a["v"](k, c) * a["context"](i, c);
    }
  }
}

void bilinear_backward(Arguments& a) {
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const int64_t k = a.index("cluster", j);
      const double d = a["d_logit"](j);
      a["d_bias"](k) += d;
      for (int64_t c = 0; c < a["v"].cols; ++c) {
        a["d_v"](k, c) += d * a["context"](i, c);
        a["d_context"](i, c) += d * a["v"](k, c);
      }
    }
  }
}

// Unit u of the hidden layer for touch j of journey i, before its ReLU.
double hidden_sum(Arguments& a, int64_t i, int64_t j, int64_t u) {
  Array &x = a["x"], &context = a["context"], &w_touch = a["w_touch"], &w_context = a["w_context"];
  double z = a["bias"](u);
  for (int64_t c = 0; c < x.cols; ++c) z += x(j, c) * w_touch(c, u);
  for (int64_t c = 0; c < context.cols; ++c) z += context(i, c) * w_context(c, u);
  return z;
}

void touch_head_forward(Arguments& a) {
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const int64_t k = a.index("cluster", j);
      a["logit"](j) = a["out_bias"](0) + a["cluster_bias"](k);
      for (int64_t c = 0; c < a["v"].cols; ++c) a["logit"](j) += a["v"](k, c) * a["context"](i, c);
      for (int64_t u = 0; u < a["w_out"].rows; ++u) {
        a["hidden"](j, u) = std::max(hidden_sum(a, i, j, u), 0.0);
        a["logit"](j) += a["hidden"](j, u) * a["w_out"](u);
      }
    }
  }
}

void touch_head_backward(Arguments& a) {
  Array &x = a["x"], &context = a["context"], &w_touch = a["w_touch"], &w_context = a["w_context"];
  Array &d_x = a["d_x"], &d_context = a["d_context"];
  Array &d_w_touch = a["d_w_touch"], &d_w_context = a["d_w_context"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const int64_t k = a.index("cluster", j);
      const double d = a["d_logit"](j);
      a["d_out_bias"](0) += d;
      a["d_cluster_bias"](k) += d;
      if (a.scalar("accumulate_dx") == 0) {
        for (int64_t c = 0; c < x.cols; ++c) d_x(j, c) = 0;
      }
      for (int64_t c = 0; c < a["v"].cols; ++c) {
        a["d_v"](k, c) += d * context(i, c);
        d_context(i, c) += d * a["v"](k, c);
      }
      for (int64_t u = 0; u < a["w_out"].rows; ++u) {
        const double z = hidden_sum(a, i, j, u);
        if (!(z > 0)) continue;
        const double d_z = d * a["w_out"](u) + (a.has("d_hidden") ? a["d_hidden"](j, u) : 0);
        a["d_w_out"](u) += d * z;
        a["d_bias"](u) += d_z;
        for (int64_t c = 0; c < x.cols; ++c) {
          if (a.scalar("mask_dx") == 0 || x(j, c) > 0) d_x(j, c) += d_z * w_touch(c, u);
          d_w_touch(c, u) += d_z * x(j, c);
        }
        for (int64_t c = 0; c < context.cols; ++c) {
          d_context(i, c) += d_z * w_context(c, u);
          d_w_context(c, u) += d_z * context(i, c);
        }
      }
    }
  }
}

// Order of the fields of LossSums.
enum Sum { kMediator, kOutcome, kSecondStage, kPropensity, kWeight };

void separable_loss(Arguments& a) {
  Array& sums = a["sums"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    const double weight = a["weight"](i);
    const double h = softplus(a["confounding"](i));
    const double lambda = sigmoid(a["second_stage"](i));
    const double y = a["outcome"](i);

    double e = h;  // -log P(Y=0)
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const double p = sigmoid(a["mediator_logit"](j));
      const double g = softplus(a["potency"](j));
      const double q = 1 - std::exp(-g);
      const double m = a["mediator"](j);
      e += m == kMissing ? -std::log1p(-q * p) : m * g;
      if (m != kMissing) sums(kMediator) += weight * cross_entropy(m, a["mediator_logit"](j));
    }
    e = std::max(e, kFloor);
    const double p0 = std::exp(-e);
    const double p1 = -std::expm1(-e);
    sums(kOutcome) += weight * (y == 1 ? -std::log(p1) : e);
    sums(kSecondStage) += weight * (std::exp(-h) - lambda) * (std::exp(-h) - lambda);
    sums(kWeight) += weight;
    if (!a.has("d_potency")) continue;

    const double d_e = weight * a.scalar("w_outcome") * (y == 1 ? -p0 / p1 : 1);
    a["d_confounding"](i) = d_e * sigmoid(a["confounding"](i));
    a["d_second_stage"](i) =
        weight * a.scalar("w_second") * 2 * (lambda - std::exp(-h)) * lambda * (1 - lambda);
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const double p = sigmoid(a["mediator_logit"](j));
      const double slope_of_g = sigmoid(a["potency"](j));
      const double q = 1 - std::exp(-softplus(a["potency"](j)));
      const double m = a["mediator"](j);
      if (m == kMissing) {
        // d(-log(1 - q p)) = (q dp + p dq) / (1 - q p), dq = (1 - q) dg
        a["d_mediator_logit"](j) = d_e * q * p * (1 - p) / (1 - q * p);
        a["d_potency"](j) = d_e * p * (1 - q) * slope_of_g / (1 - q * p);
      } else {
        a["d_mediator_logit"](j) = weight * a.scalar("w_mediator") * (p - m);
        a["d_potency"](j) = d_e * m * slope_of_g;
      }
    }
  }
}

void additive_loss(Arguments& a) {
  Array& sums = a["sums"];
  for (int64_t i = 0; i < a.journeys(); ++i) {
    const double weight = a["weight"](i);
    double predicted = a["confounding"](i);
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const double p = sigmoid(a["mediator_logit"](j));
      const double m = a["mediator"](j);
      predicted += (m == kMissing ? p : m) * a["potency"](j);
      if (m != kMissing) sums(kMediator) += weight * cross_entropy(m, a["mediator_logit"](j));
    }
    const double miss = predicted - a["outcome"](i);
    sums(kOutcome) += weight * miss * miss / 2;
    sums(kWeight) += weight;
    if (!a.has("d_potency")) continue;

    const double d = weight * a.scalar("w_outcome") * miss;
    a["d_confounding"](i) = d;
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) {
      const double p = sigmoid(a["mediator_logit"](j));
      const double m = a["mediator"](j);
      a["d_potency"](j) = d * (m == kMissing ? p : m);
      a["d_mediator_logit"](j) = m == kMissing ? d * a["potency"](j) * p * (1 - p)
                                               : weight * a.scalar("w_mediator") * (p - m);
    }
  }
}

void supervised(Arguments& a, const std::function<double(double target, double output)>& loss,
                const std::function<double(double target, double output)>& slope) {
  for (int64_t i = 0; i < a["output"].rows; ++i) {
    const double target = a["target"](i);
    const double output = a["output"](i);
    const double weight = std::isnan(target) ? 0 : a["weight"](i);
    if (weight != 0) a["sum"](0) += weight * loss(target, output);
    a["weight_sum"](0) += weight;
    if (a.has("d_output")) {
      a["d_output"](i) = weight == 0 ? 0 : weight * a.scalar("scale") * slope(target, output);
    }
  }
}

void bce_loss(Arguments& a) {
  supervised(a, cross_entropy,
             [](double target, double output) { return sigmoid(output) - target; });
}

void squared_loss(Arguments& a) {
  supervised(
      a, [](double target, double output) { return (target - output) * (target - output) / 2; },
      [](double target, double output) { return output - target; });
}

void sigmoid_squared_loss(Arguments& a) {
  supervised(
      a, [](double target, double output) { return std::pow(target - sigmoid(output), 2); },
      [](double target, double output) {
        const double p = sigmoid(output);
        return 2 * (p - target) * p * (1 - p);
      });
}

void softmax_loss(Arguments& a) {
  Array& logits = a["logits"];
  for (int64_t i = 0; i < logits.rows; ++i) {
    const int64_t label = a.index("label", i);
    double others = 0;  // relative to the label's own term
    for (int64_t k = 0; k < logits.cols; ++k) {
      if (k != label) others += std::exp(logits(i, k) - logits(i, label));
    }
    a["sum"](0) += a["weight"](i) * std::log1p(others);
    if (!a.has("d_logits")) continue;
    for (int64_t k = 0; k < logits.cols; ++k) {
      const double share = std::exp(logits(i, k) - logits(i, label)) / (1 + others);
      const double slope = k == label ? -others / (1 + others) : share;
      a["d_logits"](i, k) = a["weight"](i) * a.scalar("scale") * slope;
    }
  }
}

// The rows of x or y, of length one where asked.
std::vector<std::vector<double>> contrasted(Array& of, bool normalise) {
  std::vector<std::vector<double>> rows;
  for (int64_t r = 0; r < of.rows; ++r) {
    std::vector<double> row;
    double squares = 1e-12;
    for (int64_t c = 0; c < of.cols; ++c) {
      row.push_back(of(r, c));
      squares += of(r, c) * of(r, c);
    }
    for (double& value : row) value /= normalise ? std::sqrt(squares) : 1;
    rows.push_back(row);
  }
  return rows;
}

double inner(const std::vector<double>& left, const std::vector<double>& right) {
  double total = 0;
  for (size_t c = 0; c < left.size(); ++c) total += left[c] * right[c];
  return total;
}

// gradient row = d of `row` from d of its direction `unit`.
void through_length(Array& gradient, int64_t row, Array& of, const std::vector<double>& unit,
                    const std::vector<double>& d_unit, bool normalise) {
  double squares = 1e-12;
  for (int64_t c = 0; c < of.cols; ++c) squares += of(row, c) * of(row, c);
  for (int64_t c = 0; c < of.cols; ++c) {
    const size_t at = static_cast<size_t>(c);
    gradient(row, c) =
        normalise ? (d_unit[at] - unit[at] * inner(unit, d_unit)) / std::sqrt(squares) : d_unit[at];
  }
}

void infonce(Arguments& a) {
  const bool normalise = a.scalar("normalise") != 0;
  const auto x = contrasted(a["x"], normalise);
  const auto y = contrasted(a["y"], normalise);
  const size_t width = static_cast<size_t>(a["x"].cols);
  std::vector<std::vector<double>> d_x(x.size(), std::vector<double>(width));
  std::vector<std::vector<double>> d_y(y.size(), std::vector<double>(width));
  const auto left_out = [&](int64_t r, int64_t c) {
    return a.has("row_ids") && c != a.index("positive", r) && a["row_ids"](r) >= 0 &&
           a["row_ids"](r) == a["column_ids"](c);
  };
  for (int64_t g = 0; g + 1 < a["rows"].rows; ++g) {
    for (int64_t r = a.index("rows", g); r < a.index("rows", g + 1); ++r) {
      const auto score = [&](int64_t c) {
        return inner(x[static_cast<size_t>(r)], y[static_cast<size_t>(c)]) /
                   a.scalar("temperature") -
               (a.has("log_frequency") ? a["log_frequency"](c) : 0);
      };
      const int64_t positive = a.index("positive", r);
      double others = 0;  // relative to the positive's own term
      for (int64_t c = a.index("columns", g); c < a.index("columns", g + 1); ++c) {
        if (c != positive && !left_out(r, c)) others += std::exp(score(c) - score(positive));
      }
      a["sum"](0) += a["weight"](r) * std::log1p(others);
      for (int64_t c = a.index("columns", g); c < a.index("columns", g + 1); ++c) {
        if (left_out(r, c)) continue;
        const double share = std::exp(score(c) - score(positive)) / (1 + others);
        const double slope = (c == positive ? -others / (1 + others) : share) * a["weight"](r) *
                             a.scalar("scale") / a.scalar("temperature");
        for (size_t k = 0; k < width; ++k) {
          d_x[static_cast<size_t>(r)][k] += slope * y[static_cast<size_t>(c)][k];
          d_y[static_cast<size_t>(c)][k] += slope * x[static_cast<size_t>(r)][k];
        }
      }
    }
  }
  if (!a.has("d_x")) return;
  for (int64_t r = 0; r < a["x"].rows; ++r) {
    const size_t at = static_cast<size_t>(r);
    through_length(a["d_x"], r, a["x"], x[at], d_x[at], normalise);
  }
  for (int64_t c = 0; c < a["y"].rows; ++c) {
    const size_t at = static_cast<size_t>(c);
    through_length(a["d_y"], c, a["y"], y[at], d_y[at], normalise);
  }
}

// Places in StepSettings.
enum Setting { kRate, kRowRate, kDecay, kUnbias1, kUnbias2, kClipNorm };

void gradient_scale(Arguments& a) {
  constexpr int64_t kWeight = 4;  // in LossSums
  const double weight = a["losses"](kWeight), clip = a["settings"](kClipNorm);
  double squares = 0;
  for (const double part : a["squares"].values) squares += part;
  const double norm = std::sqrt(squares) / weight;
  a["scale"](0) = (clip > 0 ? std::min(1.0, clip / norm) : 1) / weight;
}

void adamw(Arguments& a) {
  if (std::isnan(a["gradient_scale"](0))) return;
  const double b1 = a.scalar("beta1"), b2 = a.scalar("beta2");
  for (int64_t i = 0; i < a["weights"].rows; ++i) {
    const double g = a["gradient"](i) * a["gradient_scale"](0);
    double &m = a["first_moment"](i), &v = a["second_moment"](i), &w = a["weights"](i);
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    const double m_hat = m * a["settings"](kUnbias1);
    const double v_hat = v * a["settings"](kUnbias2);
    const double decay = a["settings"](kDecay) * a["decay_mask"](i) * w;
    w -= a["settings"](kRate) * (m_hat / (std::sqrt(v_hat) + a.scalar("epsilon")) + decay);
  }
}

void adagrad_rows(Arguments& a) {
  if (std::isnan(a["gradient_scale"](0))) return;
  Array& gradient = a["gradient"];
  for (int64_t i = 0; i < gradient.rows; ++i) {
    const int64_t r = a.index("rows", i);
    double mean_square = 0;
    for (int64_t c = 0; c < gradient.cols; ++c) {
      const double g = gradient(i, c) * a["gradient_scale"](0);
      mean_square += g * g / static_cast<double>(gradient.cols);
    }
    a["state"](r) += mean_square;
    for (int64_t c = 0; c < gradient.cols; ++c) {
      a["table"](r, c) -= a["settings"](kRowRate) * gradient(i, c) * a["gradient_scale"](0) /
                          (std::sqrt(a["state"](r)) + a.scalar("epsilon"));
    }
  }
}

void max_abs(Arguments& a) {
  for (const double x : a["x"].values) a["largest"](0) = std::max(a["largest"](0), std::fabs(x));
}

void quantise(Arguments& a) {
  for (int64_t i = 0; i < a["x"].rows; ++i) {
    a["sum"](i) += std::nearbyint(std::ldexp(a["x"](i), static_cast<int>(a.scalar("shift"))));
  }
}

void dequantise(Arguments& a) {
  for (int64_t i = 0; i < a["x"].rows; ++i) {
    a["x"](i) = std::ldexp(a["sum"](i), -static_cast<int>(a.scalar("shift")));
  }
}

void sigmoid_op(Arguments& a) {
  for (int64_t i = 0; i < a["logit"].rows; ++i) {
    a["out"](i) = sigmoid(a.scalar("scale") * a["logit"](i));
  }
}

void expected_mediator_forward(Arguments& a) {
  for (int64_t j = 0; j < a["share"].rows; ++j) {
    const double mediator = a["mediator"](j);
    a["share"](j) = mediator == kMissing ? sigmoid(a["logit"](j)) : mediator;
  }
}

void expected_mediator_backward(Arguments& a) {
  for (int64_t j = 0; j < a["share"].rows; ++j) {
    const double share = a["share"](j);
    if (a["mediator"](j) != kMissing) continue;
    a["d_logit"](j) += share * (1 - share) * a["d_share"](j);
  }
}

void accumulate(Arguments& a) {
  for (int64_t i = 0; i < a["x"].rows; ++i) a["y"](i) += a["x"](i);
}

void sum_squares(Arguments& a) {
  for (const double x : a["x"].values) a["sum"](0) += x * x;
}

}  // namespace

void run(const std::string& op, Arguments& arguments) {
  static const std::map<std::string, void (*)(Arguments&)> all = {
      {"dense_features", dense_features},
      {"gather_rows", gather_rows},
      {"scatter_rows", scatter_rows},
      {"linear_forward", linear_forward},
      {"linear_backward", linear_backward},
      {"join_context_forward", join_context_forward},
      {"join_context_backward", join_context_backward},
      {"attention_forward", attention_forward},
      {"attention_backward", attention_backward},
      {"pool_forward", pool_forward},
      {"pool_backward", pool_backward},
      {"weighted_sum_forward", weighted_sum_forward},
      {"weighted_sum_backward", weighted_sum_backward},
      {"bilinear_forward", bilinear_forward},
      {"bilinear_backward", bilinear_backward},
      {"touch_head_forward", touch_head_forward},
      {"touch_head_backward", touch_head_backward},
      {"separable_loss", separable_loss},
      {"additive_loss", additive_loss},
      {"bce_loss", bce_loss},
      {"squared_loss", squared_loss},
      {"sigmoid_squared_loss", sigmoid_squared_loss},
      {"softmax_loss", softmax_loss},
      {"infonce", infonce},
      {"gradient_scale", gradient_scale},
      {"adamw", adamw},
      {"adagrad_rows", adagrad_rows},
      {"max_abs", max_abs},
      {"quantise", quantise},
      {"dequantise", dequantise},
      {"sigmoid", sigmoid_op},
      {"expected_mediator_forward", expected_mediator_forward},
      {"expected_mediator_backward", expected_mediator_backward},
      {"accumulate", accumulate},
      {"sum_squares", sum_squares},
  };
  all.at(op)(arguments);
}

}  // namespace alm::reference
