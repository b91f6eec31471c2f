// Package soak holds a whole stack, with every default there is, to its promises
// for longer than any time-out: clients of every kind live on it at once, and what
// they received is judged. Nothing is lost, nothing comes twice or out of order,
// nobody is closed without a cause, and nobody is told to have left who is there.
//
// It runs where LATIDO_SOAK_DURATION says for how long.
package soak
