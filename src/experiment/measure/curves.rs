//! The curves of runs.

use super::measures;

measures! {
    /// Curves that every training has.
    TRAINING:
    /// Loss on the training images, the mean since the point before.
    TRAIN_LOSS = "train/loss", "Training loss", None, Lower;
    /// Learning rate of the schedule.
    TRAIN_LR = "train/lr", "Learning rate", None, Neither;
    /// Seconds of training so far, without evaluations. Other curves are drawn over it.
    SECONDS = "speed/seconds", "Training time", Seconds, Neither;
    /// Images a second that the data loader could deliver.
    SPEED_LOADER = "speed/loader", "Data loader throughput", ImagesPerSecond, Higher;
    /// Images a second that training could take.
    SPEED_TRAINER = "speed/trainer", "Training throughput", ImagesPerSecond, Higher;
    /// Fraction of the time that training waited for images.
    SPEED_WAIT_SHARE = "speed/wait_share", "Time waiting for images", None, Lower;
}

measures! {
    /// Curves of the machine.
    MACHINE:
    /// Memory of the GPU taken from the driver, in use or kept for the next step.
    DEVICE_MEMORY = "device/memory_mib", "GPU memory", Mebibytes, Neither;
}

measures! {
    /// Curves of classifiers on the validation split.
    VALIDATION:
    /// Accuracy on the validation split.
    VAL_TOP1 = "val/top1", "Validation top-1", Percent, Higher;
    /// Cross entropy on the validation split.
    VAL_LOSS = "val/loss", "Validation loss", None, Lower;
}

measures! {
    /// Curves of pretraining on the validation split.
    MONITORS:
    /// Mean PSNR of the reconstructions of some validation images, as `psnr.composite`.
    VAL_PSNR = "val/psnr", "Validation PSNR", Decibels, Higher;
    /// Accuracy on the validation split of a vote among the nearest training images.
    KNN_CURVE = "knn/top1", "k-NN top-1", Percent, Higher;
}

measures! {
    /// Terms of the methods' losses, and what tells how healthy they are.
    TERMS:
    /// Loss between the representations of two views.
    ALIGNMENT = "train/alignment", "Alignment loss", None, Lower;
    /// R-MAE's distance between the predictions of two masked views, Eq. 8.
    DISTANCE = "train/distance", "Distance between views", None, Lower;
    /// R-MAE's reconstruction term, Eq. 8.
    CONSTRAINT = "train/constraint", "Reconstruction constraint", None, Lower;
    /// Deviation of the projections over a batch: 1 if they point everywhere, 0 if all are one.
    SPREAD = "train/spread", "Projection deviation", None, Neither;
    /// Effective rank of the projections of a batch.
    RANK = "train/rank", "Projection rank", None, Neither;
    /// Deviation of the encoder's features over a batch: 1 if they point everywhere, 0 if all are one.
    FEATURE_SPREAD = "train/feature_spread", "Feature deviation", None, Neither;
    /// Effective rank of the encoder's features of a batch.
    FEATURE_RANK = "train/feature_rank", "Feature rank", None, Neither;
    /// Entropy of the teacher's distributions, as a fraction of the uniform one's.
    TEACHER_ENTROPY = "train/teacher_entropy", "Teacher entropy", None, Neither;
    /// Divergence of the student's distributions from the teacher's.
    TEACHER_KL = "train/teacher_kl", "KL from teacher to student", None, Lower;
    /// Norm of the center that is subtracted from the teacher's outputs.
    CENTER_NORM = "train/center_norm", "Center norm", None, Neither;
    /// Cross entropy of the predicted tokens at the masked patches.
    CROSS_ENTROPY = "train/cross_entropy", "Token cross entropy", None, Lower;
    /// Fraction of the masked patches whose most likely token is the right one.
    TOKEN_ACCURACY = "train/token_accuracy", "Token accuracy", None, Higher;
    /// Fraction of the vocabulary that the targets of a batch use.
    TARGET_USAGE = "train/target_usage", "Target vocabulary used", None, Neither;
    /// Exponential of the entropy of the targets of a batch.
    TARGET_PERPLEXITY = "train/target_perplexity", "Target perplexity", None, Neither;
}

measures! {
    /// Terms of the tokenizers' losses.
    TOKENIZER_TERMS:
    /// Mean squared error of restored patches.
    MSE = "train/mse", "Reconstruction MSE", None, Lower;
    /// Distance of the encodings from their tokens, VQ-VAE.
    COMMITMENT = "train/commitment", "Commitment loss", None, Lower;
    /// KL divergence of the token distributions from the uniform one, dVAE.
    DIVERGENCE = "train/divergence", "KL from uniform", None, Neither;
    /// Patches that changed their cluster in a round of k-means.
    MOVED = "train/moved", "Reassigned patches", Count, Neither;
}
