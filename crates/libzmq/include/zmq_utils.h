/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Where libzmq once kept the stopwatch, the threads and the Z85 functions. They are in zmq.h now; this header
 * stays so that old programs compile. Like libzmq's, it brings in nothing: such programs include zmq.h too.
 */

#if defined __GNUC__ || defined __clang__ || defined _MSC_VER
#pragma message("zmq_utils.h is empty: include zmq.h")
#endif
