// Package trace records what the engine ran and when, and writes it in the trace
// event format of Chrome, which chrome://tracing and Perfetto show. Times are
// microseconds; a kernel carries its node, GFLOP/s and GB/s.
package trace
