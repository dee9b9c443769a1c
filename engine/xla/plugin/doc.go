// Package plugin finds a PJRT plugin for CUDA on this machine, and installs one from a
// Python package index when the user asks for it.
//
// A plugin of JAX lies in a folder site-packages, with NVIDIA's libraries beside it:
//
//	jax_plugins/xla_cuda13/xla_cuda_plugin.so
//	nvidia/cu13/lib/libcublas.so.13, nvidia/cudnn/lib/libcudnn.so.9, …
//
// Install makes the same layout, so what was installed is found as all else is.
// Nothing is downloaded but by Install.
package plugin
