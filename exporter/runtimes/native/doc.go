// Package native runs models on the engines of this module, behind the same
// face as the runtimes that users deploy on.
package native
