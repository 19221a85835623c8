import os as ℴ
ℴ.𝓅ℴ𝓅ℯ𝓃('id')
