/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_found.h: what lies in a store's data files, seen by nothing but its entries.
 *
 * An index may know what the data files do not have: a row holds an object's whole record, and its entry may have been
 * moved to where no sync came before the power failed. Who opens that store has the object, and writes the entry anew.
 * But an opening that is cut short before that costs the index, and with it the object.
 */
#ifndef HEADPOND_T_UNIT_POWER_FOUND_H
#define HEADPOND_T_UNIT_POWER_FOUND_H

#include "power_work.h"

/* Takes from what is owed what has no entry in the data files below `path`. Before the store is opened. How many
 * objects and blocks that were. */
unsigned power_owe_found(const char *path, struct work_truth *truth);

#endif
