"""The public losses (paper: Eq. 2, Eq. 3, soft labels); they live in kdviz.method.losses."""

from kdviz.method.losses import attention_kl, cls_distance, hard_label_loss, soft_label_loss

__all__ = ["attention_kl", "cls_distance", "hard_label_loss", "soft_label_loss"]
