#include "engine/estimate/backdoor.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/check.h"
#include "kernels/base/logistic.h"

namespace alm {
BackdoorModel::BackdoorModel(int64_t clusters, int64_t dense, io::OutcomeKind outcome)
    : BackdoorModel(clusters, dense, outcome,
                    std::vector<double>(static_cast<size_t>(1 + clusters + dense))) {}

BackdoorModel::BackdoorModel(int64_t clusters, int64_t dense, io::OutcomeKind outcome,
                             std::vector<double> coefficients)
    : clusters_(clusters), dense_(dense), outcome_(outcome) {
  set_coefficients(std::move(coefficients));
}

void BackdoorModel::set_coefficients(std::vector<double> coefficients) {
  ALM_CHECK(static_cast<int64_t>(coefficients.size()) == size());
  coefficients_ = std::move(coefficients);
}

double BackdoorModel::linear(std::span<const uint32_t> touched, std::span<const float> x) const {
  double sum = coefficients_[0];
  for (const uint32_t cluster : touched) sum += coefficients_[1 + cluster];
  const double* slope = coefficients_.data() + 1 + clusters_;
  for (size_t d = 0; d < x.size(); ++d) sum += slope[d] * static_cast<double>(x[d]);
  return sum;
}

double BackdoorModel::mean(double linear) const {
  return outcome_ == io::OutcomeKind::binary ? sigmoid(linear) : linear;
}

double BackdoorModel::removal_effect(double linear, int64_t cluster) const {
  return mean(linear) - mean(linear - coefficients_[static_cast<size_t>(1 + cluster)]);
}

double BackdoorModel::replacement_effect(double linear, int64_t arm, int64_t reference) const {
  return mean(linear) - mean(linear - coefficients_[static_cast<size_t>(1 + arm)] +
                             coefficients_[static_cast<size_t>(1 + reference)]);
}

BackdoorSums::BackdoorSums(const BackdoorModel& model)
    : size_(model.size()),
      gradient_(static_cast<size_t>(size_)),
      information_(static_cast<size_t>(size_ * (size_ + 1) / 2)) {}

void BackdoorSums::clear() {
  weight_ = loss_ = FixedSum();
  std::fill(gradient_.begin(), gradient_.end(), FixedSum());
  std::fill(information_.begin(), information_.end(), FixedSum());
}

void BackdoorSums::add(const BackdoorModel& model, std::span<const uint32_t> touched,
                       std::span<const float> x, double outcome, double weight) {
  ALM_CHECK(model.size() == size_ && static_cast<int64_t>(x.size()) == model.dense());
  const double z = model.linear(touched, x);
  double residual = outcome - model.mean(z);
  double curvature = weight;
  if (model.outcome() == io::OutcomeKind::binary) {
    loss_.add(weight * (softplus(z) - outcome * z));
    const double p = sigmoid(z);
    curvature *= p * (1 - p);
  } else {
    loss_.add(0.5 * weight * residual * residual);
  }
  weight_.add(weight);
  residual *= weight;

  row_.clear();
  row_.emplace_back(0, 1.0);
  for (const uint32_t cluster : touched) {
    ALM_CHECK(cluster < model.clusters());
    const int64_t feature = 1 + static_cast<int64_t>(cluster);
    const auto same = std::find_if(row_.begin(), row_.end(),
                                   [&](const auto& entry) { return entry.first == feature; });
    if (same == row_.end()) {
      row_.emplace_back(feature, 1.0);
    } else {
      same->second += 1;
    }
  }
  std::sort(row_.begin(), row_.end());
  for (size_t d = 0; d < x.size(); ++d) {
    row_.emplace_back(1 + model.clusters() + static_cast<int64_t>(d), static_cast<double>(x[d]));
  }
  for (size_t i = 0; i < row_.size(); ++i) {
    const auto [feature, value] = row_[i];
    gradient_[static_cast<size_t>(feature)].add(residual * value);
    FixedSum* line = information_.data() + feature * (feature + 1) / 2;
    const double scaled = curvature * value;
    for (size_t j = 0; j <= i; ++j) line[row_[j].first].add(scaled * row_[j].second);
  }
}

void BackdoorSums::merge(const BackdoorSums& other) {
  ALM_CHECK(other.size_ == size_);
  weight_.add(other.weight_);
  loss_.add(other.loss_);
  for (size_t i = 0; i < gradient_.size(); ++i) gradient_[i].add(other.gradient_[i]);
  for (size_t i = 0; i < information_.size(); ++i) information_[i].add(other.information_[i]);
}

void BackdoorSums::reduce(Communicator& comm, const char* what) {
  FixedSum two[2] = {weight_, loss_};
  comm.all_reduce_sum(std::span<FixedSum>(two), what);
  weight_ = two[0];
  loss_ = two[1];
  comm.all_reduce_sum(std::span<FixedSum>(gradient_), what);
  comm.all_reduce_sum(std::span<FixedSum>(information_), what);
}

double BackdoorFit::penalty(const std::vector<double>& coefficients) const {
  double squares = 0;
  for (size_t i = 1; i < coefficients.size(); ++i) squares += coefficients[i] * coefficients[i];
  return 0.5 * kRidge * squares;
}

bool BackdoorFit::step(BackdoorSums& sums, Communicator& comm, const char* what) {
  sums.reduce(comm, what);
  ++passes_;
  const double total = sums.weight_.value();
  if (!(total > 0)) return true;  // nothing to fit: all coefficients stay 0
  const std::vector<double>& now = model_.coefficients();
  const double loss = sums.loss_.value() / total + penalty(now);
  if (!previous_.empty() && loss > previous_loss_ + 1e-12 * std::fabs(previous_loss_)) {
    std::vector<double> half(now.size());
    for (size_t i = 0; i < half.size(); ++i) half[i] = 0.5 * (now[i] + previous_[i]);
    model_.set_coefficients(std::move(half));
    return passes_ >= kMaxPasses;
  }

  // Solved on rank 0 and sent: the machines of other ranks may round differently.
  const int64_t size = model_.size();
  std::vector<double> next(static_cast<size_t>(size) + 1);
  if (comm.rank() == 0) {
    Eigen::MatrixXd information(size, size);  // its lower triangle is used
    Eigen::VectorXd gradient(size);
    size_t at = 0;
    for (int64_t i = 0; i < size; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        information(i, j) = sums.information_[at++].value() / total;
      }
      gradient(i) = sums.gradient_[static_cast<size_t>(i)].value() / total;
      if (i > 0) {
        information(i, i) += kRidge;
        gradient(i) -= kRidge * now[static_cast<size_t>(i)];
      }
    }
    // An outcome that is always 0 or always 1 leaves the intercept without curvature in the end.
    information(0, 0) += 1e-12;
    // The ridge makes it positive definite; Cholesky in place and by blocks, as it may be large.
    const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> factor(information);
    if (factor.info() == Eigen::Success) {
      const Eigen::VectorXd move = factor.solve(gradient);
      for (int64_t i = 0; i < size; ++i) {
        next[static_cast<size_t>(i)] = now[static_cast<size_t>(i)] + move(i);
      }
      next.back() = gradient.dot(move);  // twice the loss still to gain, to second order
    } else {
      next.front() = std::numeric_limits<double>::infinity();  // unusable on all ranks
    }
  }
  comm.broadcast(std::as_writable_bytes(std::span(next)), 0, what);
  const double decrement = next.back();
  next.pop_back();
  previous_ = now;
  previous_loss_ = loss;
  const bool usable =
      std::all_of(next.begin(), next.end(), [](double c) { return std::fabs(c) < 1e9; });
  if (!usable) return true;
  model_.set_coefficients(std::move(next));
  // A quadratic loss is solved in one step; else what is left after this one is about decrement
  // squared.
  converged_ = model_.outcome() == io::OutcomeKind::continuous || decrement < 1e-9;
  return converged_ || passes_ >= kMaxPasses;
}

}  // namespace alm
