#include "galvatron/comm/group.h"
