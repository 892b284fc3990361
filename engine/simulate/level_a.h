// Level A: the exact discrete model of method 8.1, as probabilities. Everything is a finite sum in
// double precision; logs of it come from make_level_a (simulator.h).
//
// x in {0,1}, u in {0,1} (never observed), arm t in {0..3}, mediator m in {0,1}, outcome y in
// {0,1}. Pure functions; arguments outside these ranges are a bug.
#pragma once

#include <cstdint>

namespace alm::level_a {

inline constexpr int64_t kArms = 4;
inline constexpr int64_t kReferenceArm = 0;

// The law.
double p_x(int64_t x);
double p_u(int64_t u, int64_t x);                    // P(u | x)
double p_arm(int64_t t, int64_t x, int64_t u);       // P(t | x, u)
double p_mediator(int64_t m, int64_t t, int64_t x);  // p(m | t, x)
double p_outcome(int64_t m, int64_t u, int64_t x);   // P(Y=1 | m, u, x)

// What a log without u shows: the nuisances of method 5.
double propensity(int64_t t, int64_t x);     // pi(t | x)
double mu(int64_t m, int64_t t, int64_t x);  // E[Y | m, t, x]
double xi(int64_t m, int64_t x);             // sum_t pi(t|x) mu(m,t,x)

// What is to be found.
double outcome_do(int64_t t, int64_t x);        // E[Y | do(t), x], front-door (method 2.1 a)
double psi(int64_t t);                          // E[Y | do(t)]
double outcome_replaced(int64_t t, int64_t x);  // E[Y(reference's mediator) | t, x] (method 2.1 b)
double delta_do(int64_t t, int64_t x);          // outcome_do(t, x) - outcome_do(reference, x)
double delta_ett(int64_t t, int64_t x);         // E[Y | t, x] - outcome_replaced(t, x)
// E[Y] after every journey of arm t got the reference arm instead (method 5.3).
double psi_removal(int64_t t);
double mean_outcome();             // E[Y]
double p_arm_marginal(int64_t t);  // P(t)

}  // namespace alm::level_a
